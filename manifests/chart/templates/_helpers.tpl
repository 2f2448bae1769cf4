{{- /* What finds podgate's Pods; never changes. */}}
{{- define "podgate.selector" -}}
app.kubernetes.io/name: podgate
{{- end }}

{{- /* The labels of every object. */}}
{{- define "podgate.labels" -}}
{{ include "podgate.selector" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "podgate.image" -}}
{{- with .Values.image }}
{{- if .digest }}{{ .repository }}@{{ .digest }}
{{- else }}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end }}
{{- end }}
{{- end }}

{{- define "podgate.failurePolicy" -}}
{{ .Values.failurePolicy | default (eq .Values.mode "audit" | ternary "Ignore" "Fail") }}
{{- end }}

{{- /* The policies in force, as a YAML map of file name to text. */}}
{{- define "podgate.policies" -}}
{{- $files := dict }}
{{- if .Values.shippedPolicies }}
{{- range $path, $_ := .Files.Glob "files/policies/*.yaml" }}
{{- $text := $.Files.Get $path | replace "podgate-system" $.Release.Namespace }}
{{- if eq $.Values.mode "audit" }}
{{- $text = regexReplaceAll "(?m)^(  (?:mode|workloads)): (?:enforce|warn)$" $text "${1}: audit" }}
{{- end }}
{{- if not (and (eq $.Values.mode "audit") (eq (base $path) "inject-defaults.yaml")) }}
{{- $_ := set $files (base $path) $text }}
{{- end }}
{{- end }}
{{- end }}
{{- range $name, $text := .Values.policies }}
{{- if $text }}{{ $_ := set $files $name $text }}{{ else }}{{ $_ := unset $files $name }}{{ end }}
{{- end }}
{{- if not $files }}
{{- fail "no policies: podgate does not run without any. Set shippedPolicies: true, or give some in policies" }}
{{- end }}
{{- toYaml $files }}
{{- end }}

{{- /* What every webhook has in common. Takes the chart's context and the path. */}}
{{- define "podgate.webhook" -}}
{{- $context := index . 0 -}}
admissionReviewVersions: [v1]
clientConfig:
  service: {namespace: {{ $context.Release.Namespace }}, name: podgate, port: 443, path: {{ index . 1 }}}
  {{- if and (eq $context.Values.certificates.source "secret") $context.Values.certificates.caBundle }}
  caBundle: {{ $context.Values.certificates.caBundle }}
  {{- end }}
failurePolicy: {{ include "podgate.failurePolicy" $context }}
timeoutSeconds: {{ $context.Values.timeoutSeconds }}
sideEffects: None
matchPolicy: Equivalent
namespaceSelector:
  matchExpressions:
    - key: kubernetes.io/metadata.name
      operator: NotIn
      values: {{ concat (list "kube-system" $context.Release.Namespace) $context.Values.excludedNamespaces | toJson }}
{{- end }}

{{- define "podgate.notMirrorPod" -}}
- name: not-mirror-pod
  expression: >-
    !(request.resource.group == "" && request.resource.resource == "pods" && request.operation == "CREATE" &&
    "system:nodes" in request.userInfo.groups &&
    has(object.metadata.annotations) && "kubernetes.io/config.mirror" in object.metadata.annotations &&
    has(object.spec.nodeName) && request.userInfo.username == "system:node:" + object.spec.nodeName)
{{- end }}

{{- define "podgate.webhookAnnotations" -}}
{{- if eq .Values.certificates.source "cert-manager" }}
annotations:
  cert-manager.io/inject-ca-from: {{ .Release.Namespace }}/podgate-tls
{{- end }}
{{- end }}

{{- /* A binding to podgate's account. Takes the context, the kind of role and its name. */}}
{{- define "podgate.binding" -}}
{{- $context := index . 0 -}}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: {{ index . 1 }}, name: {{ index . 2 }}}
subjects:
  - {kind: ServiceAccount, name: podgate, namespace: {{ $context.Release.Namespace }}}
{{- end }}
