package main

import (
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// object is a Pod, or a workload with a template.
type object struct {
	value any
	// pod is what is judged of it; nil if there is nothing to judge.
	pod func() (*metav1.ObjectMeta, *corev1.PodSpec)
}

// wrap makes an object of the kind, to be read into or to be written.
func wrap(kind string, metadata metav1.ObjectMeta, spec corev1.PodSpec) object {
	template := corev1.PodTemplateSpec{ObjectMeta: metadata, Spec: spec}
	of := func(value any, template *corev1.PodTemplateSpec) object {
		return object{value, func() (*metav1.ObjectMeta, *corev1.PodSpec) { return &template.ObjectMeta, &template.Spec }}
	}
	switch kind {
	case "Pod":
		it := &corev1.Pod{TypeMeta: typed("v1", kind), ObjectMeta: metadata, Spec: spec}
		return object{it, func() (*metav1.ObjectMeta, *corev1.PodSpec) { return &it.ObjectMeta, &it.Spec }}
	case "ReplicationController":
		// The one whose template may be missing.
		it := &corev1.ReplicationController{TypeMeta: typed("v1", kind), Spec: corev1.ReplicationControllerSpec{Template: &template}}
		return object{it, func() (*metav1.ObjectMeta, *corev1.PodSpec) {
			if it.Spec.Template == nil {
				return nil, nil
			}
			return &it.Spec.Template.ObjectMeta, &it.Spec.Template.Spec
		}}
	case "PodTemplate":
		it := &corev1.PodTemplate{TypeMeta: typed("v1", kind), Template: template}
		return of(it, &it.Template)
	case "ReplicaSet":
		it := &appsv1.ReplicaSet{TypeMeta: typed("apps/v1", kind), Spec: appsv1.ReplicaSetSpec{Template: template}}
		return of(it, &it.Spec.Template)
	case "Deployment":
		it := &appsv1.Deployment{TypeMeta: typed("apps/v1", kind), Spec: appsv1.DeploymentSpec{Template: template}}
		return of(it, &it.Spec.Template)
	case "StatefulSet":
		it := &appsv1.StatefulSet{TypeMeta: typed("apps/v1", kind), Spec: appsv1.StatefulSetSpec{Template: template}}
		return of(it, &it.Spec.Template)
	case "DaemonSet":
		it := &appsv1.DaemonSet{TypeMeta: typed("apps/v1", kind), Spec: appsv1.DaemonSetSpec{Template: template}}
		return of(it, &it.Spec.Template)
	case "Job":
		it := &batchv1.Job{TypeMeta: typed("batch/v1", kind), Spec: batchv1.JobSpec{Template: template}}
		return of(it, &it.Spec.Template)
	case "CronJob":
		it := &batchv1.CronJob{TypeMeta: typed("batch/v1", kind)}
		it.Spec.JobTemplate.Spec.Template = template
		return of(it, &it.Spec.JobTemplate.Spec.Template)
	}
	panic(kind)
}

func typed(version, kind string) metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: version, Kind: kind}
}
