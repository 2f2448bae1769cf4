// Upstream's own suite of Pod Security Admission, unmodified, against the API server of KUBECONFIG. Every namespace it
// makes carries the label that PODGATE_TEST_GATE gives, so that the gate under test judges it.
package suite

import (
	"os"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/pod-security-admission/test"
)

func TestPodSecurity(t *testing.T) {
	path := os.Getenv("KUBECONFIG")
	label, gate, found := strings.Cut(os.Getenv("PODGATE_TEST_GATE"), "=")
	if path == "" || !found {
		t.Skip("KUBECONFIG names no cluster, or PODGATE_TEST_GATE no gate")
	}
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		t.Fatal(err)
	}
	// Without this the 3,320 requests take eleven minutes.
	config.QPS = -1
	test.Run(t, test.Options{
		ClientConfig: config,
		CreateNamespace: func(client kubernetes.Interface, name string, labels map[string]string) (*corev1.Namespace, error) {
			labels[label] = gate
			return test.DefaultCreateNamespace(client, name, labels)
		},
	})
}
