// oracle makes random Pods and workloads and says what Pod Security Admission thinks of them, two lines of JSON each:
//
//	{"apiVersion": "v1", "kind": "Pod", …}
//	{"level": "restricted", "version": "v1.24", "apiVersion": "v1", "kind": "Pod", "violations": [{"reason": "…", "detail": "…"}]}
//
// They depend on the seed alone. Every field that any check reads is unset, null, empty, good or bad, in every list of
// containers; the verdict is that of k8s.io/pod-security-admission/policy on what can be read of the object's text.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"reflect"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	// As an API server reads: letter by letter.
	reader "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// newest is one more than the newest version of the standard: it must be as the newest.
const newest = 38

type violation struct {
	Reason string `json:"reason"`
	Detail string `json:"detail"`
}

type verdict struct {
	Level      api.Level   `json:"level"`
	Version    string      `json:"version"`
	APIVersion string      `json:"apiVersion"`
	Kind       string      `json:"kind"`
	Violations []violation `json:"violations"`
}

func main() {
	seed := flag.Uint64("seed", 1, "what the objects are made from")
	first := flag.Uint64("first", 0, "the number of the first object")
	cases := flag.Uint64("cases", 1000, "how many objects")
	characters := flag.Bool("characters", false, "instead, object n is a Pod with the characters from 1024 n on in an annotation")
	flag.Parse()

	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		log.Fatal(err)
	}
	out := bufio.NewWriterSize(os.Stdout, 1<<20)
	for i := *first; i < *first+*cases; i++ {
		var lines []byte
		if *characters {
			lines = judge(evaluator, api.LevelBaseline, "latest", "Pod", plain(wrap("Pod", annotated(rune(i)*1024), corev1.PodSpec{})))
		} else {
			lines = random(evaluator, rand.New(rand.NewPCG(*seed, i)))
		}
		if _, err := out.Write(lines); err != nil {
			// Whoever reads has seen enough.
			return
		}
	}
	if err := out.Flush(); err != nil {
		log.Fatal(err)
	}
}

// random is a random object and the verdict on it.
func random(evaluator policy.Evaluator, source *rand.Rand) []byte {
	m := &maker{Rand: source}
	m.wild = one(m, 2, 10, 40)
	m.strange = one(m, 0, 0, 5, 50)
	level := one(m, api.LevelBaseline, api.LevelRestricted)
	version := one(m, "latest", "latest", "v1.4294967296", "v1.99999999999")
	if minor := m.IntN(newest + 3); minor <= newest {
		version = fmt.Sprintf("v1.%d", minor)
	}
	kind := "Pod"
	if m.chance(40) {
		kind = one(m, "ReplicationController", "PodTemplate", "ReplicaSet", "Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob")
	}
	metadata, spec := m.pod()
	it := wrap(kind, metadata, spec)
	odd := one(m, 0, 0, 0, 1, 3, 12)
	if odd == 0 {
		return judge(evaluator, level, version, kind, plain(it))
	}
	w := writer{maker: m, odd: odd}
	w.write(reflect.ValueOf(it.value))
	return judge(evaluator, level, version, kind, w.text)
}

// plain is the object as Go writes it.
func plain(it object) []byte {
	text, err := json.Marshal(it.value)
	if err != nil {
		log.Fatal(err)
	}
	return text
}

// annotated has 1024 characters in an annotation that is refused.
func annotated(first rune) metav1.ObjectMeta {
	value := strings.Builder{}
	for character := first; character < first+1024; character++ {
		if character < 0xd800 || character >= 0xe000 {
			value.WriteRune(character)
		}
	}
	key := corev1.DeprecatedAppArmorBetaContainerAnnotationKeyPrefix + "a"
	return metav1.ObjectMeta{Annotations: map[string]string{key: "unconfined " + value.String()}}
}

// judge is the text of an object and the verdict on it.
func judge(evaluator policy.Evaluator, level api.Level, version, kind string, text []byte) []byte {
	parsed, err := api.ParseVersion(version)
	if err != nil {
		log.Fatal(err)
	}
	read := wrap(kind, metav1.ObjectMeta{}, corev1.PodSpec{})
	if err := reader.Unmarshal(text, read.value); err != nil {
		log.Fatalf("%v: %s", err, text)
	}
	it := verdict{Level: level, Version: version, Violations: []violation{}}
	it.APIVersion = reflect.ValueOf(read.value).Elem().FieldByName("APIVersion").String()
	it.Kind = kind
	if metadata, spec := read.pod(); spec != nil {
		for _, result := range evaluator.EvaluatePod(api.LevelVersion{Level: level, Version: parsed}, metadata, spec) {
			if !result.Allowed {
				it.Violations = append(it.Violations, violation{result.ForbiddenReason, result.ForbiddenDetail})
			}
		}
	}
	lines := bytes.NewBuffer(append(text, '\n'))
	encoder := json.NewEncoder(lines)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(it); err != nil {
		log.Fatal(err)
	}
	return lines.Bytes()
}
