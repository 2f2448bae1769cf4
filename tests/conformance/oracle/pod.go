package main

import (
	"fmt"
	"math/rand/v2"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// maker draws every choice from one source.
type maker struct {
	*rand.Rand
	// wild is how likely a value is bad, in percent: Pods with few bad values find what Pods full of them hide.
	wild int
	// strange is how likely a text is one that nobody writes, in percent.
	strange int
}

// bad is true for a value that shall be refused.
func (m *maker) bad() bool { return m.IntN(100) < m.wild }

func (m *maker) chance(percent int) bool { return m.IntN(100) < percent }

func one[T any](m *maker, values ...T) T { return values[m.IntN(len(values))] }

func ptr[T any](value T) *T { return &value }

// maybe is nil more often than not.
func maybe[T any](m *maker, good, bad func() T) *T {
	if m.bad() {
		return ptr(bad())
	}
	if m.chance(40) {
		return ptr(good())
	}
	return nil
}

func always[T any](value T) func() T { return func() T { return value } }

// text is one of the values, or a strange one.
func text[T ~string](m *maker, values ...T) T {
	if m.strange > 0 && m.chance(m.strange) {
		return T(m.word())
	}
	return one(m, values...)
}

// word is a text that nobody writes.
func (m *maker) word() string {
	if m.chance(30) {
		return one(m, "", " ", "a, b", "\"", "\\", "it's", "<&>", "\x00", "\x7f", "line\nline", "\a\b\f\r\t\v", "\u2028", "\ufeff", "\ufffd", "e\u0301", "日本", "ß", "𝔘", "🦀", strings.Repeat("long", 80))
	}
	var word strings.Builder
	for range 1 + m.IntN(6) {
		last := one[rune](m, 0x7f, 0xff, 0x2fff, 0xffff, 0x1ffff, 0x10ffff)
		character := m.Int32N(last + 1)
		if character >= 0xd800 && character < 0xe000 {
			character = '"'
		}
		word.WriteRune(character)
	}
	return word.String()
}

// count is a number below the limit, and now and then one far above it.
func (m *maker) count(limit int) int {
	if m.IntN(1000) == 0 {
		return 20 * m.IntN(limit)
	}
	return m.IntN(limit)
}

func (m *maker) pod() (metav1.ObjectMeta, corev1.PodSpec) {
	spec := corev1.PodSpec{}
	// Names are unique, but no check counts on it.
	name := func(name string, i int) string { return text(m, fmt.Sprint(name, i)) }
	if m.chance(10) {
		name = func(string, int) string { return text(m, "a", "b", "c") }
	}
	for i := range m.count(3) {
		container := m.container(name("init", i))
		if m.chance(30) {
			container.RestartPolicy = ptr(corev1.ContainerRestartPolicyAlways)
		}
		spec.InitContainers = append(spec.InitContainers, container)
	}
	// Not in the order of the alphabet.
	for i := range m.count(4) {
		spec.Containers = append(spec.Containers, m.container(name("main", 9-i)))
	}
	for i := range m.count(2) {
		common := m.container(name("debug", i))
		spec.EphemeralContainers = append(spec.EphemeralContainers,
			corev1.EphemeralContainer{EphemeralContainerCommon: corev1.EphemeralContainerCommon(common)})
	}
	for i := range m.count(4) {
		spec.Volumes = append(spec.Volumes, m.volume(name("v", 9-i)))
	}
	spec.HostNetwork, spec.HostPID, spec.HostIPC = m.bad(), m.bad(), m.bad()
	if m.chance(15) {
		spec.HostUsers = ptr(m.chance(30))
	}
	if m.chance(15) {
		spec.OS = &corev1.PodOS{Name: text(m, corev1.Windows, corev1.Windows, corev1.Linux, "", "Windows")}
	}
	if m.chance(80) {
		spec.SecurityContext = m.podContext()
	}
	return m.metadata(&spec), spec
}

func (m *maker) metadata(spec *corev1.PodSpec) metav1.ObjectMeta {
	metadata := metav1.ObjectMeta{Annotations: m.annotations(spec)}
	switch m.IntN(4) {
	case 0:
		metadata.Name = "p"
	case 1:
		metadata.GenerateName = "p-"
	case 2:
		metadata.Labels = map[string]string{"app": m.word()}
	default:
		metadata.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "r", Controller: ptr(true)}}
	}
	return metadata
}

func (m *maker) annotations(spec *corev1.PodSpec) map[string]string {
	if m.chance(50) {
		return nil
	}
	names := []string{"a", "gone", ""}
	for _, it := range spec.InitContainers {
		names = append(names, it.Name)
	}
	for _, it := range spec.Containers {
		names = append(names, it.Name)
	}
	for _, it := range spec.EphemeralContainers {
		names = append(names, it.Name)
	}
	annotations := map[string]string{}
	for range m.count(5) {
		name := one(m, names...)
		values := []string{"runtime/default", "localhost/x", "localhost/", "docker/default", ""}
		if m.bad() {
			values = []string{"unconfined", "Runtime/Default", "localhost", "\"quoted\"", "RuntimeDefault", "Localhost", "docker/default ", "é", m.word()}
		}
		value := text(m, values...)
		switch m.IntN(4) {
		case 0:
			annotations[corev1.SeccompPodAnnotationKey+one(m, "", "", "", "s")] = value
		case 1:
			annotations[corev1.SeccompContainerAnnotationKeyPrefix+name] = value
		case 2:
			annotations[corev1.DeprecatedAppArmorBetaContainerAnnotationKeyPrefix+name] = value
		default:
			annotations["example.com/note"] = value
		}
	}
	return annotations
}

func (m *maker) podContext() *corev1.PodSecurityContext {
	context := &corev1.PodSecurityContext{
		RunAsNonRoot:    maybe(m, always(true), always(false)),
		RunAsUser:       maybe(m, m.user, always(int64(0))),
		RunAsGroup:      maybe(m, always(int64(1000)), always(int64(0))),
		SeccompProfile:  maybe(m, m.seccomp(false), m.seccomp(true)),
		AppArmorProfile: maybe(m, m.appArmor(false), m.appArmor(true)),
		SELinuxOptions:  m.seLinux(),
		WindowsOptions:  m.windows(),
	}
	for range m.count(3) {
		if m.chance(50) {
			context.Sysctls = append(context.Sysctls, corev1.Sysctl{Name: m.sysctl(), Value: "1"})
		}
	}
	return context
}

func (m *maker) user() int64 { return one[int64](m, 1000, 1, -1, 1<<32, 1<<62) }

func (m *maker) container(name string) corev1.Container {
	container := corev1.Container{Name: name, Image: "i"}
	for range m.count(3) {
		port := corev1.ContainerPort{ContainerPort: 80}
		if m.bad() {
			port.HostPort = one[int32](m, 9, 10, 100, 20, 8080, 65535, 65536, -1)
		}
		container.Ports = append(container.Ports, port)
	}
	container.LivenessProbe, container.ReadinessProbe, container.StartupProbe = m.probe(), m.probe(), m.probe()
	if m.chance(15) {
		container.Lifecycle = &corev1.Lifecycle{PostStart: m.handler(), PreStop: m.handler()}
	}
	if m.chance(75) {
		container.SecurityContext = m.context()
	}
	return container
}

func (m *maker) context() *corev1.SecurityContext {
	context := &corev1.SecurityContext{
		Privileged:               maybe(m, always(false), always(true)),
		AllowPrivilegeEscalation: maybe(m, always(false), always(true)),
		RunAsNonRoot:             maybe(m, always(true), always(false)),
		RunAsUser:                maybe(m, m.user, always(int64(0))),
		RunAsGroup:               maybe(m, always(int64(1000)), always(int64(0))),
		ReadOnlyRootFilesystem:   maybe(m, always(true), always(false)),
		SeccompProfile:           maybe(m, m.seccomp(false), m.seccomp(true)),
		AppArmorProfile:          maybe(m, m.appArmor(false), m.appArmor(true)),
		SELinuxOptions:           m.seLinux(),
		WindowsOptions:           m.windows(),
	}
	if !m.bad() {
		// Most containers are restricted, so that one that is not stands out.
		context.AllowPrivilegeEscalation = ptr(false)
		context.Capabilities = &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}
	}
	if m.chance(30) {
		context.Capabilities = m.capabilities()
	}
	if m.chance(10) || m.bad() {
		context.ProcMount = ptr(corev1.DefaultProcMount)
		if m.bad() {
			context.ProcMount = ptr(text(m, corev1.UnmaskedProcMount, "other", "", "default"))
		}
	}
	return context
}

func (m *maker) capabilities() *corev1.Capabilities {
	capabilities := &corev1.Capabilities{}
	switch m.IntN(6) {
	case 0:
	case 1:
		capabilities.Drop = []corev1.Capability{}
	case 2:
		capabilities.Drop = []corev1.Capability{one[corev1.Capability](m, "all", "CAP_ALL", "NET_RAW", "")}
	default:
		capabilities.Drop = []corev1.Capability{"NET_RAW", "ALL"}
	}
	for range m.count(3) {
		add := one[corev1.Capability](m, "NET_BIND_SERVICE", "CHOWN", "KILL", "AUDIT_WRITE", "DAC_OVERRIDE", "FOWNER", "FSETID", "MKNOD", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT")
		if m.bad() {
			add = text[corev1.Capability](m, "SYS_ADMIN", "NET_RAW", "ALL", "CAP_CHOWN", "chown", "BAR", "FOO", "")
		}
		capabilities.Add = append(capabilities.Add, add)
	}
	return capabilities
}

func (m *maker) seccomp(bad bool) func() corev1.SeccompProfile {
	return func() corev1.SeccompProfile {
		if bad {
			return corev1.SeccompProfile{Type: text(m, corev1.SeccompProfileTypeUnconfined, "", "Other", "runtime/default", "localhost")}
		}
		if m.chance(30) {
			return corev1.SeccompProfile{Type: corev1.SeccompProfileTypeLocalhost, LocalhostProfile: one(m, nil, ptr(""), ptr("a/b.json"))}
		}
		return corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}
	}
}

func (m *maker) appArmor(bad bool) func() corev1.AppArmorProfile {
	return func() corev1.AppArmorProfile {
		if bad {
			return corev1.AppArmorProfile{Type: text(m, corev1.AppArmorProfileTypeUnconfined, "", "Other", "runtimeDefault")}
		}
		if m.chance(30) {
			return corev1.AppArmorProfile{Type: corev1.AppArmorProfileTypeLocalhost, LocalhostProfile: one(m, nil, ptr(""), ptr("p"))}
		}
		return corev1.AppArmorProfile{Type: corev1.AppArmorProfileTypeRuntimeDefault}
	}
}

func (m *maker) seLinux() *corev1.SELinuxOptions {
	if m.chance(80) {
		return nil
	}
	options := &corev1.SELinuxOptions{
		Type:  one(m, "", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"),
		Level: one(m, "", "s0:c1,c2"),
	}
	if m.bad() {
		options.Type = text(m, "foo", "bar", "spc_t", "Container_t", "container_engine_t ")
	}
	if m.bad() {
		options.User = text(m, "u", "root")
	}
	if m.bad() {
		options.Role = text(m, "r", "sysadm_r")
	}
	return options
}

func (m *maker) windows() *corev1.WindowsSecurityContextOptions {
	if m.chance(85) {
		return nil
	}
	return &corev1.WindowsSecurityContextOptions{HostProcess: maybe(m, always(false), always(true))}
}

func (m *maker) sysctl() string {
	if m.bad() {
		return text(m, "kernel.msgmax", "kernel/shm_rmid_forced", "net/ipv4/tcp_rmem", "net.ipv4.ip_forward", "net.ipv4.tcp_mem", "Kernel.shm_rmid_forced", "a", "")
	}
	return one(m, "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies",
		"net.ipv4.ping_group_range", "net.ipv4.ip_unprivileged_port_start", "net.ipv4.ip_local_reserved_ports",
		"net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl",
		"net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem",
		"net.ipv4.tcp_slow_start_after_idle", "net.ipv4.tcp_notsent_lowat")
}

func (m *maker) host() string {
	if m.bad() {
		return text(m, "127.0.0.1", "::1", "localhost", "example.com")
	}
	return ""
}

func (m *maker) probe() *corev1.Probe {
	if m.chance(80) {
		return nil
	}
	probe := &corev1.Probe{}
	if handler := m.handler(); handler != nil {
		probe.ProbeHandler = corev1.ProbeHandler{HTTPGet: handler.HTTPGet, TCPSocket: handler.TCPSocket}
		if m.chance(10) {
			probe.TCPSocket = &corev1.TCPSocketAction{Host: m.host()}
		}
	}
	return probe
}

func (m *maker) handler() *corev1.LifecycleHandler {
	handler := &corev1.LifecycleHandler{}
	switch m.IntN(4) {
	case 0:
		return nil
	case 1:
		handler.Exec = &corev1.ExecAction{Command: []string{"true"}}
	case 2:
		handler.HTTPGet = &corev1.HTTPGetAction{Port: intstr.FromInt32(80), Host: m.host()}
	case 3:
		handler.TCPSocket = &corev1.TCPSocketAction{Port: intstr.FromString("http"), Host: m.host()}
	}
	return handler
}

func (m *maker) volume(name string) corev1.Volume {
	volume := corev1.Volume{Name: name}
	source := &volume.VolumeSource
	if m.bad() {
		switch m.IntN(23) {
		case 0, 21:
			source.HostPath = &corev1.HostPathVolumeSource{Path: "/"}
		case 1:
			source.GCEPersistentDisk = &corev1.GCEPersistentDiskVolumeSource{}
		case 2:
			source.AWSElasticBlockStore = &corev1.AWSElasticBlockStoreVolumeSource{}
		case 3:
			source.GitRepo = &corev1.GitRepoVolumeSource{}
		case 4:
			source.NFS = &corev1.NFSVolumeSource{}
		case 5:
			source.ISCSI = &corev1.ISCSIVolumeSource{}
		case 6:
			source.Glusterfs = &corev1.GlusterfsVolumeSource{}
		case 7:
			source.RBD = &corev1.RBDVolumeSource{}
		case 8:
			source.FlexVolume = &corev1.FlexVolumeSource{}
		case 9:
			source.Cinder = &corev1.CinderVolumeSource{}
		case 10:
			source.CephFS = &corev1.CephFSVolumeSource{}
		case 11:
			source.Flocker = &corev1.FlockerVolumeSource{}
		case 12:
			source.FC = &corev1.FCVolumeSource{}
		case 13:
			source.AzureFile = &corev1.AzureFileVolumeSource{}
		case 14:
			source.VsphereVolume = &corev1.VsphereVirtualDiskVolumeSource{}
		case 15:
			source.Quobyte = &corev1.QuobyteVolumeSource{}
		case 16:
			source.AzureDisk = &corev1.AzureDiskVolumeSource{}
		case 17:
			source.PhotonPersistentDisk = &corev1.PhotonPersistentDiskVolumeSource{}
		case 18:
			source.PortworxVolume = &corev1.PortworxVolumeSource{}
		case 19:
			source.ScaleIO = &corev1.ScaleIOVolumeSource{}
		case 20:
			source.StorageOS = &corev1.StorageOSVolumeSource{}
		case 22:
			// No source that this version knows.
		}
		return volume
	}
	switch m.IntN(9) {
	case 0:
		source.ConfigMap = &corev1.ConfigMapVolumeSource{}
	case 1:
		source.CSI = &corev1.CSIVolumeSource{Driver: "d"}
	case 2:
		source.DownwardAPI = &corev1.DownwardAPIVolumeSource{}
	case 3:
		source.EmptyDir = &corev1.EmptyDirVolumeSource{}
	case 4:
		source.Ephemeral = &corev1.EphemeralVolumeSource{}
	case 5:
		source.Image = &corev1.ImageVolumeSource{}
	case 6:
		source.PersistentVolumeClaim = &corev1.PersistentVolumeClaimVolumeSource{}
	case 7:
		source.Projected = &corev1.ProjectedVolumeSource{}
	case 8:
		source.Secret = &corev1.SecretVolumeSource{}
	}
	return volume
}
