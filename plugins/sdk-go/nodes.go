package clickmill

import (
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"
)

// node is a column in the making, with those below it. What is not announced is a record that was given, of
// which fields are written.
type node struct {
	column
	path      string
	repeated  bool
	announced bool
	kept      bool // what was given is of the same type
	count     int
	hasNulls  bool
	fields    []*node
}

// named is the one of that name; nil where there is none.
func named(nodes []*node, name string) *node {
	for _, n := range nodes {
		if n.name == name {
			return n
		}
	}
	return nil
}

func newNode(name string) *node { return &node{column: column{name: name, kind: Record}} }

func nodesOf(writes []Column, in *batch) []*node {
	top := newNode("")
	for _, write := range writes {
		at, given, isGiven := top, -1, true
		path, more := write.Path, true
		for more {
			var name string
			name, path, more = strings.Cut(path, ".")
			next := named(at.fields, name)
			if next == nil {
				next = newNode(name)
				at.fields = append(at.fields, next)
			}
			at = next
			if isGiven {
				given = in.find(given, name)
				isGiven = given >= 0
			}
			if more && !at.announced {
				if !isGiven || in.columns[given].kind != Record {
					panic(fmt.Sprintf("`%s` is written, but there is no record to write it to", write.Path))
				}
				at.repeated = in.columns[given].offsets != nil
			}
		}
		at.kind, at.repeated, at.announced, at.path = write.Type, write.Repeated, true, write.Path
		at.kept = isGiven && in.columns[given].kind == at.kind && (in.columns[given].offsets != nil) == at.repeated
	}
	for _, root := range top.fields {
		root.start()
	}
	return top.fields
}

func (n *node) start() {
	if n.repeated {
		n.offsets = []uint32{0}
	}
	if n.kind >= Text && n.kind < Record {
		n.ends = []uint32{0}
	}
	for _, field := range n.fields {
		field.start()
	}
}

// of is the value of a row: what was set, else what was given, else nothing.
func (n *node) of(in *batch, index int, sets map[string]any) any {
	if n.announced {
		if value, ok := sets[n.path]; ok {
			return value
		}
	}
	var value any
	if n.kept || !n.announced {
		value = in.value(in.find(-1, n.name), index)
	}
	if !n.announced {
		for path, set := range sets {
			if first, rest, more := strings.Cut(path, "."); more && first == n.name {
				value = overlay(value, rest, set, path)
			}
		}
	}
	return value
}

// overlay is a value that was given, with one that is set in its place at the end of a path.
func overlay(given any, path string, value any, whole string) any {
	switch given := given.(type) {
	case []any:
		values, ok := listOf(value)
		if !ok || len(values) != len(given) {
			panic(fmt.Sprintf("`%s` lies in a list: set a list with a value for each element", whole))
		}
		for i := range given {
			given[i] = overlay(given[i], path, values[i], whole)
		}
		return given
	case map[string]any:
		name, rest, more := strings.Cut(path, ".")
		if more {
			value = overlay(given[name], rest, value, whole)
		}
		given[name] = value
		return given
	}
	if !isNil(value) {
		panic(fmt.Sprintf("`%s` is set where its record is null", whole))
	}
	return nil
}

// listOf is a value as a list: a slice of whatever type.
func listOf(value any) ([]any, bool) {
	if list, ok := value.([]any); ok || value == nil {
		return list, ok
	}
	of := reflect.ValueOf(value)
	if of.Kind() != reflect.Slice {
		return nil, false
	}
	list := make([]any, of.Len())
	for i := range list {
		list[i] = of.Index(i).Interface()
	}
	return list, true
}

// recordOf is a value as a record: a map of texts to whatever type.
func recordOf(value any) (map[string]any, bool) {
	if record, ok := value.(map[string]any); ok || value == nil {
		return record, ok
	}
	of := reflect.ValueOf(value)
	if of.Kind() != reflect.Map || of.Type().Key().Kind() != reflect.String {
		return nil, false
	}
	record := make(map[string]any, of.Len())
	for entries := of.MapRange(); entries.Next(); {
		record[entries.Key().String()] = entries.Value().Interface()
	}
	return record, true
}

// isShared is whether the author may change the value that was set, in the map or slice that it is.
func isShared(value any) bool {
	kind := reflect.ValueOf(value).Kind()
	return kind == reflect.Map || kind == reflect.Slice
}

// isNil is whether there is no value, also where that is of a type: who reads a null as a []byte has such.
func isNil(value any) bool { return value == nil || isShared(value) && reflect.ValueOf(value).IsNil() }

// isNull is whether a value of the column's type, or an element of its list, is null.
func (n *node) isNull(value any) bool {
	return value == nil || (n.kind == Blob || n.kind == Record) && isNil(value)
}

// checkSet panics where a value can't be set to a path that was announced. Where that leads through a list, there is a
// value for each element.
func checkSet(nodes []*node, path string, value any, whole string) {
	name, rest, more := strings.Cut(path, ".")
	n := named(nodes, name)
	if !more {
		n.check(value, true)
		return
	}
	if n.announced {
		panic(fmt.Sprintf("`%s` is part of the record `%s`, which is announced: set that", whole, n.path))
	}
	if !n.repeated || value == nil {
		checkSet(n.fields, rest, value, whole)
		return
	}
	list, ok := listOf(value)
	if !ok {
		panic(fmt.Sprintf("`%s` lies in a list: set a list with a value for each element", whole))
	}
	for _, element := range list {
		checkSet(n.fields, rest, element, whole)
	}
}

// check panics where a value is not of the column's type. One that is set has no other fields than are announced, while
// one that was given may have some, which are not written.
func (n *node) check(value any, isSet bool) {
	if value == nil {
		return
	}
	if n.repeated {
		list, ok := listOf(value)
		if !ok {
			panic(fmt.Sprintf("`%s` is a list, and is set to %v", n.path, value))
		}
		for _, element := range list {
			if n.isNull(element) {
				panic(fmt.Sprintf("`%s` is a list, whose elements are never null", n.path))
			}
			n.checkElement(element, isSet)
		}
		return
	}
	n.checkElement(value, isSet)
}

func (n *node) checkElement(value any, isSet bool) {
	ok := false
	switch n.kind {
	case Boolean:
		_, ok = value.(bool)
	case Float64:
		_, ok = value.(float64)
	case NumericDecimal:
		_, ok = value.(Decimal)
	case Date:
		var days int64
		if days, ok = integer(value); days != int64(int32(days)) {
			panic(fmt.Sprintf("`%s` is set to %d, wanted days since 1970-01-01 of 32 bits", n.path, days))
		}
	case Text, JSON:
		var text string
		if text, ok = value.(string); !utf8.ValidString(text) {
			// The host would refuse the whole batch for it.
			panic(fmt.Sprintf("`%s` is set to text that is not UTF-8, such as one that is cut within a character", n.path))
		}
	case Blob:
		_, ok = value.([]byte)
	case Record:
		var record map[string]any
		if record, ok = recordOf(value); ok {
			if isSet {
				n.checkNames(record)
			}
			for _, field := range n.fields {
				field.check(record[field.name], isSet)
			}
		}
	default:
		_, ok = integer(value)
	}
	if !ok {
		panic(fmt.Sprintf("`%s` is announced with another type than %v, which is a %T", n.path, value, value))
	}
}

// checkNames panics where a record has a field that is not announced: it would be lost.
func (n *node) checkNames(record map[string]any) {
	for name := range record {
		if named(n.fields, name) == nil {
			known := make([]string, len(n.fields))
			for i, field := range n.fields {
				known[i] = "`" + field.name + "`"
			}
			panic(fmt.Sprintf("`%[1]s.%[2]s` is set but not announced: the fields of `%[1]s` are %[3]s", n.path, name, strings.Join(known, ", ")))
		}
	}
}

// push adds the value of a row, a record, or the list of one, which was checked.
func (n *node) push(value any) {
	if !n.repeated {
		n.pushElement(value)
		return
	}
	list, _ := listOf(value)
	for _, element := range list {
		n.pushElement(element)
	}
	n.offsets = append(n.offsets, uint32(n.count))
}

func (n *node) pushElement(value any) {
	if n.count%8 == 0 {
		n.valid = append(n.valid, 0)
	}
	if n.isNull(value) {
		n.hasNulls = true
	} else {
		n.valid[n.count/8] |= 1 << (n.count % 8)
	}
	n.count++
	switch n.kind {
	case Boolean:
		set, _ := value.(bool)
		if set {
			n.bytes = append(n.bytes, 1)
		} else {
			n.bytes = append(n.bytes, 0)
		}
	case Float64:
		number, _ := value.(float64)
		n.floats = append(n.floats, number)
	case NumericDecimal:
		number, _ := value.(Decimal)
		n.words = append(n.words, number)
	case Date:
		days, _ := integer(value)
		n.days = append(n.days, int32(days))
	case Text, JSON, Blob:
		if text, ok := value.(string); ok {
			n.bytes = append(n.bytes, text...)
		} else if bytes, ok := value.([]byte); ok {
			n.bytes = append(n.bytes, bytes...)
		}
		n.ends = append(n.ends, uint32(len(n.bytes)))
	case Record:
		record, _ := recordOf(value)
		for _, field := range n.fields {
			field.push(record[field.name])
		}
	default:
		number, _ := integer(value)
		n.ints = append(n.ints, number)
	}
}

func integer(value any) (int64, bool) {
	switch value := value.(type) {
	case int64:
		return value, true
	case int:
		return int64(value), true
	}
	return 0, false
}

// finish adds finished columns, each before those below it.
func finish(nodes []*node, parent int, to []column) []column {
	for _, n := range nodes {
		at := len(to)
		n.parent = parent
		if !n.hasNulls {
			n.valid = nil
		}
		to = finish(n.fields, at, append(to, n.column))
	}
	return to
}
