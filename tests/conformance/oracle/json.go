package main

import (
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
)

// writer writes a value as JSON that no Go encoder writes and every reader has to understand: with explicit nulls,
// empty lists, objects and strings where nothing is set, fields that are left out where Go writes their zero, fields
// that no version knows or that are spelt with the wrong case, in another order, with escapes and spaces.
// Some of that means something else than nothing: the verdict is made of what the text says, not of the value.
type writer struct {
	*maker
	text []byte
	// odd is how likely each of these is, in percent.
	odd int
}

// field is one field of a struct as JSON names it.
type field struct {
	name string
	// path leads to it, through structs that JSON does not show.
	path     []int
	optional bool
	// leave is true for what a reader may not miss.
	leave bool
}

var (
	unmarshaler = reflect.TypeFor[json.Unmarshaler]()
	podSpec     = reflect.TypeFor[corev1.PodSpec]()
	volume      = reflect.TypeFor[corev1.Volume]()
	knownFields = map[reflect.Type][]field{}
)

func (w *writer) isOdd() bool { return w.odd > 0 && w.chance(w.odd) }

func (w *writer) write(value reflect.Value) {
	if isOwn(value.Type()) {
		text, err := json.Marshal(value.Interface())
		if err != nil {
			panic(err)
		}
		w.text = append(w.text, text...)
		return
	}
	switch value.Kind() {
	case reflect.Pointer:
		if value.IsNil() {
			w.text = append(w.text, "null"...)
			return
		}
		w.write(value.Elem())
	case reflect.Struct:
		w.object(value)
	case reflect.Slice:
		if value.IsNil() {
			w.text = append(w.text, "null"...)
			return
		}
		w.text = append(w.text, '[')
		for i := range value.Len() {
			w.between(i > 0)
			w.write(value.Index(i))
		}
		w.text = append(w.text, ']')
	case reflect.Map:
		w.text = append(w.text, '{')
		keys := value.MapKeys()
		// The order of a Go map is not that of a seed.
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for i, key := range keys {
			w.between(i > 0)
			w.string(key.String())
			w.text = append(w.text, ':')
			w.write(value.MapIndex(key))
		}
		w.text = append(w.text, '}')
	case reflect.String:
		w.string(value.String())
	case reflect.Bool:
		w.text = strconv.AppendBool(w.text, value.Bool())
	case reflect.Int32, reflect.Int64:
		w.text = strconv.AppendInt(w.text, value.Int(), 10)
	default:
		panic(value.Type())
	}
}

// object writes the fields, beginning with any of them.
func (w *writer) object(value reflect.Value) {
	fields := fieldsOf(value.Type())
	first, written := 0, false
	if w.isOdd() && len(fields) > 0 {
		first = w.IntN(len(fields))
	}
	w.text = append(w.text, '{')
	key := func(name string) {
		w.between(written)
		written = true
		w.string(name)
		w.text = append(w.text, ':')
	}
	for i := range fields {
		it := fields[(first+i)%len(fields)]
		member := value.FieldByIndex(it.path)
		if member.IsZero() && !it.leave && w.isOdd() {
			if it.optional || w.chance(30) {
				key(it.name)
				w.nothing(member.Type(), isSource(value.Type(), it))
			}
		} else if !it.optional || !isEmpty(member) {
			key(it.name)
			w.write(member)
		}
	}
	if w.isOdd() {
		w.unknown(value, key)
	}
	w.text = append(w.text, '}')
}

// nothing is what an unset field may say.
func (w *writer) nothing(it reflect.Type, isSource bool) {
	text := "null"
	if !isOwn(it) && !isSource && w.chance(60) {
		if it.Kind() == reflect.Pointer {
			it = it.Elem()
		}
		switch {
		case isOwn(it):
		case it.Kind() == reflect.Slice:
			text = "[]"
		case it.Kind() == reflect.Struct || it.Kind() == reflect.Map:
			text = "{}"
		case it.Kind() == reflect.String:
			text = `""`
		case it.Kind() == reflect.Bool:
			text = "false"
		default:
			text = "0"
		}
	}
	w.text = append(w.text, text...)
}

// unknown writes a field that means nothing to Go: of a version to come, or a known one with the wrong case.
func (w *writer) unknown(value reflect.Value, key func(string)) {
	fields := fieldsOf(value.Type())
	name := one(w.maker, "quantumFoam", "x-y", "", "unknown")
	if len(fields) > 0 && w.chance(50) {
		name = fields[w.IntN(len(fields))].name
		name = one(w.maker, strings.ToUpper(name[:1])+name[1:], strings.ToUpper(name), strings.ToLower(name)+"_")
		for _, it := range fields {
			if it.name == name {
				return
			}
		}
	}
	text := one(w.maker, "null", "true", "false", "0", "-1.5e3", `"x"`, `"\u00e9\ud83e\udd80\/"`, "[]", "{}", `[null,{"hostPath":{"path":"/"}},[1]]`, `{"type":"x","host":"h"}`)
	// Beside a source that it knows, upstream does not see one that it does not know; podgate refuses it.
	if value.Type() == volume && !value.FieldByName("VolumeSource").IsZero() {
		text = "null"
	}
	key(name)
	w.text = append(w.text, text...)
}

// between writes what stands before a member.
func (w *writer) between(comma bool) {
	if comma {
		w.text = append(w.text, ',')
	}
	if w.isOdd() {
		w.text = append(w.text, one(w.maker, " ", "\t", "\r", "  \r ")...)
	}
}

func (w *writer) string(text string) {
	w.text = append(w.text, '"')
	for _, it := range text {
		switch {
		case it == '"' || it == '\\':
			w.text = append(w.text, '\\', byte(it))
		case it < ' ' || w.isOdd():
			w.escape(it)
		default:
			w.text = utf8.AppendRune(w.text, it)
		}
	}
	w.text = append(w.text, '"')
}

func (w *writer) escape(it rune) {
	const digits = "0123456789abcdefABCDEF"
	units := []rune{it}
	if it > 0xffff {
		units = []rune{0xd800 + (it-0x10000)>>10, 0xdc00 + (it-0x10000)&0x3ff}
	}
	upper := w.IntN(2) * 6
	for _, unit := range units {
		w.text = append(w.text, '\\', 'u')
		for shift := 12; shift >= 0; shift -= 4 {
			digit := int(unit>>shift) & 15
			if digit > 9 {
				digit += upper
			}
			w.text = append(w.text, digits[digit])
		}
	}
}

func fieldsOf(it reflect.Type) []field {
	if known, ok := knownFields[it]; ok {
		return known
	}
	var fields []field
	for i := range it.NumField() {
		member := it.Field(i)
		name, options, _ := strings.Cut(member.Tag.Get("json"), ",")
		if name == "" {
			for _, inner := range fieldsOf(member.Type) {
				inner.path = append([]int{i}, inner.path...)
				fields = append(fields, inner)
			}
			continue
		}
		fields = append(fields, field{
			name:     name,
			path:     []int{i},
			optional: strings.Contains(options, "omit"),
			leave:    member.Type == podSpec,
		})
	}
	knownFields[it] = fields
	return fields
}

// isSource is true for the field of a volume that would be its source.
func isSource(of reflect.Type, it field) bool {
	return of == volume && len(it.path) > 1
}

// isOwn is true for a type with JSON of its own.
func isOwn(it reflect.Type) bool {
	return it.Kind() != reflect.Pointer && reflect.PointerTo(it).Implements(unmarshaler)
}

// isEmpty is true for what Go leaves out.
func isEmpty(value reflect.Value) bool {
	switch value.Kind() {
	case reflect.Slice, reflect.Map:
		return value.Len() == 0
	case reflect.Struct:
		return false
	default:
		return value.IsZero()
	}
}
