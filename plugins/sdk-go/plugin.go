// Package clickmill is for writing clickmill plugins in Go: a function over a row.
//
// A plugin is a program whose init function calls Export; its main function is empty. The host calls it for
// batches of rows, which the package walks. A panic in a row's function refuses that row, with the message and
// the line where it was.
package clickmill

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
)

// Plugin is a plugin over rows, configured by a C.
type Plugin[C any] struct {
	// Name is the author's for it, Version is for people, Description is a sentence on what it does.
	Name, Version, Description string
	// Secrets are texts that the host puts into the configuration by their names.
	Secrets []Secret
	// Default is the configuration where a pipeline file sets nothing. The names of its fields in a pipeline file
	// are those of their `json` tags, their documentation is in their `doc` tags. Each configuration has a copy.
	Default C
	// Configure checks the configuration, before any row and again for each batch, and says what the plugin reads
	// and writes with it. It may get the configuration ready for Row.
	Configure func(config *C, setup *Setup)
	// Row transforms one row: it reads it, and sets the columns it writes. The error refuses it: see Reject.
	Row func(config *C, row *Row) error
}

// Secret is one that a plugin wants.
type Secret struct {
	Name string
	// MinBytes is how many bytes it must have, 16 at least.
	MinBytes uint32
}

// Setup is what a configured plugin reads, writes and looks up. Columns are named by path: `user.email`.
type Setup struct {
	// Available are the columns that are granted and exist; none when a batch is about to come.
	Available     []Column
	problems      []string
	reads, writes []Column
	lookups       []string
	multiplies    bool
}

// Column is a column by path and type.
type Column struct {
	Path     string
	Type     Type
	Repeated bool
}

// Problem says what is wrong with the configuration. Several are told at once.
func (s *Setup) Problem(format string, arguments ...any) {
	s.problems = append(s.problems, fmt.Sprintf(format, arguments...))
}

// Reads announces a column to read. Of a record, all below it is read.
func (s *Setup) Reads(path string, of Type) { s.reads = append(s.reads, Column{path, of, false}) }

// ReadsList announces a repeated column to read.
func (s *Setup) ReadsList(path string, of Type) { s.reads = append(s.reads, Column{path, of, true}) }

// Writes announces a column to write. Where it is a record, its fields are announced behind it.
func (s *Setup) Writes(path string, of Type) { s.writes = append(s.writes, Column{path, of, false}) }

// WritesList announces a repeated column to write.
func (s *Setup) WritesList(path string, of Type) { s.writes = append(s.writes, Column{path, of, true}) }

// LooksUp announces a lookup table: see Find.
func (s *Setup) LooksUp(table string) { s.lookups = append(s.lookups, table) }

// Multiplies announces that a row may become several: see Row.Emit.
func (s *Setup) Multiplies() { s.multiplies = true }

// Refusal is why a row is refused.
type Refusal struct {
	Code, Message string
	// Of is the path of the column at fault, where there is one.
	Of string
}

// Reject refuses a row: it goes to the dead-letter table. The code is a stable word for counting (`a-z`, `0-9`,
// `_`), the message tells a person what is wrong.
func Reject(code, format string, arguments ...any) *Refusal {
	return &Refusal{Code: code, Message: fmt.Sprintf(format, arguments...)}
}

// Column names the column at fault by its path; elements of a list by their number, from 0: `items[3].price`.
func (r *Refusal) Column(path string) *Refusal {
	r.Of = path
	return r
}

func (r *Refusal) Error() string { return r.Code + ": " + r.Message }

// refusal is an error as a refusal: another one than Reject's has the code `exception`.
func refusal(err error) *Refusal {
	var refused *Refusal
	if !errors.As(err, &refused) || refused == nil {
		refused = Reject("exception", "%v", err)
	}
	return refused
}

// exported is a plugin, whatever configures it.
type exported struct {
	name, version, description string
	schema                     func() string
	secrets                    []Secret
	// ready configures it, and returns what transforms a row.
	ready func(config []byte, setup *Setup) func(*Row) error
}

var plugin *exported

// Export makes a plugin the one that the host calls.
func Export[C any](p Plugin[C]) { plugin = p.exported() }

func (p Plugin[C]) exported() *exported {
	ready := func(text []byte, setup *Setup) func(*Row) error {
		config, err := p.read(text)
		if err != nil {
			setup.problems = append(setup.problems, p.whyNot(text, err))
			return nil
		}
		p.Configure(&config, setup)
		return func(row *Row) error { return p.Row(&config, row) }
	}
	// Only who asks what the plugin is wants it.
	schema := func() string {
		text, err := json.Marshal(schemaOf(reflect.ValueOf(p.Default)))
		if err != nil {
			panic(err)
		}
		return string(text)
	}
	return &exported{p.Name, p.Version, p.Description, schema, p.Secrets, ready}
}

// read is the configuration of a text.
func (p Plugin[C]) read(text []byte) (C, error) {
	config := p.Default
	own := reflect.ValueOf(&config).Elem()
	own.Set(clone(own))
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(&config)
	return config, err
}

// whyNot is why a configuration is not read, by the name of the field. What errors tell of a secret may be a part of
// it, which the host would not know for one: they are not told.
func (p Plugin[C]) whyNot(text []byte, err error) string {
	told := func(err error) string { return strings.TrimPrefix(err.Error(), "json: ") }
	isNamed := func(err error) bool {
		var typed *json.UnmarshalTypeError
		return errors.As(err, &typed) && typed.Field != "" || strings.HasPrefix(err.Error(), "json: unknown field ")
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(text, &fields) != nil {
		return told(err)
	}
	read := func(fields map[string]json.RawMessage) error {
		text, _ := json.Marshal(fields)
		_, err := p.read(text)
		return err
	}
	isSecret := func(name string) bool {
		return slices.ContainsFunc(p.Secrets, func(secret Secret) bool { return secret.Name == name })
	}
	// A configuration that wants several fields together is not read by one.
	if read(map[string]json.RawMessage{}) == nil {
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			err := read(map[string]json.RawMessage{name: fields[name]})
			switch {
			case err == nil:
			case isSecret(name) && err.Error() == fmt.Sprintf("json: unknown field %q", name):
				return fmt.Sprintf("the secret `%s` comes as a field of the configuration: declare it there as a string", name)
			case isSecret(name):
				return fmt.Sprintf("the secret `%s` is not what its field takes: declare that as a string", name)
			case isNamed(err):
				return told(err)
			default:
				return fmt.Sprintf("`%s`: %s", name, told(err))
			}
		}
	}
	for name := range fields {
		if isSecret(name) {
			fields[name] = json.RawMessage(`"` + strings.Repeat("0", 64) + `"`)
		}
	}
	if err := read(fields); err != nil {
		return told(err)
	}
	return "the configuration is not what the plugin takes: as it has secrets, no more is told"
}

// clone is a copy that shares no map, slice or pointer with the value: JSON is decoded into those that are there.
// What is not exported is nothing that JSON reaches, but for what a struct that is embedded exports.
func clone(value reflect.Value) reflect.Value {
	made := reflect.New(value.Type()).Elem()
	made.Set(value)
	switch kind := value.Kind(); kind {
	case reflect.Map, reflect.Slice, reflect.Pointer, reflect.Interface:
		if value.IsNil() {
			return made
		}
		switch kind {
		case reflect.Map:
			made.Set(reflect.MakeMapWithSize(value.Type(), value.Len()))
			for entries := value.MapRange(); entries.Next(); {
				made.SetMapIndex(entries.Key(), clone(entries.Value()))
			}
		case reflect.Slice:
			made.Set(reflect.MakeSlice(value.Type(), value.Len(), value.Len()))
			reflect.Copy(made, value)
			for i := 0; i < value.Len() && value.Type().Elem().Kind() > reflect.Complex128; i++ {
				made.Index(i).Set(clone(value.Index(i)))
			}
		case reflect.Pointer:
			made.Set(reflect.New(value.Type().Elem()))
			made.Elem().Set(clone(value.Elem()))
		default:
			made.Set(clone(value.Elem()))
		}
	case reflect.Array:
		for i := range value.Len() {
			made.Index(i).Set(clone(value.Index(i)))
		}
	case reflect.Struct:
		cloneFields(made)
	}
	return made
}

func cloneFields(of reflect.Value) {
	for i := range of.NumField() {
		if field := of.Type().Field(i); field.IsExported() {
			of.Field(i).Set(clone(of.Field(i)))
		} else if field.Anonymous && field.Type.Kind() == reflect.Struct {
			cloneFields(of.Field(i))
		}
	}
}

// schemaOf is the JSON Schema of a configuration, with its values as defaults.
func schemaOf(value reflect.Value) map[string]any {
	of := value.Type()
	switch of.Kind() {
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Float32, reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.Slice, reflect.Array:
		return map[string]any{"type": "array", "items": schemaOf(reflect.Zero(of.Elem()))}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": schemaOf(reflect.Zero(of.Elem()))}
	case reflect.Pointer:
		return schemaOf(reflect.Zero(of.Elem()))
	case reflect.Struct:
		properties := map[string]any{}
		for i := range of.NumField() {
			field := of.Field(i)
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if base := value.Field(i); field.Anonymous && name == "" {
				if base.Kind() == reflect.Pointer {
					base = reflect.Zero(field.Type.Elem())
				}
				if base.Kind() == reflect.Struct {
					// JSON has its fields beside the others; those of the same name are hidden by them.
					for name, property := range schemaOf(base)["properties"].(map[string]any) {
						if _, is := properties[name]; !is {
							properties[name] = property
						}
					}
					continue
				}
			}
			if !field.IsExported() || name == "-" {
				continue
			}
			if name == "" {
				name = field.Name
			}
			property := schemaOf(value.Field(i))
			if doc := field.Tag.Get("doc"); doc != "" {
				property["description"] = doc
			}
			if kind := field.Type.Kind(); kind != reflect.Struct && !(kind == reflect.Pointer || kind == reflect.Slice || kind == reflect.Map) || !value.Field(i).IsZero() {
				property["default"] = value.Field(i).Interface()
			}
			properties[name] = property
		}
		return map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	case reflect.Interface:
		return map[string]any{}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return map[string]any{"type": "integer", "minimum": 0}
	default:
		return map[string]any{"type": "integer"}
	}
}

// rowSafely transforms a row. A panic is a refusal, with the line where it was. A Refusal that is nil is none, though
// as an error it is not nil: a function that returns a *Refusal has such.
func rowSafely(transform func(*Row) error, row *Row) (err error) {
	defer func() {
		if what := recover(); what != nil {
			err = Reject("exception", "%s", told(fmt.Sprint(what), panicked()))
		}
	}()
	err = transform(row)
	if refused, ok := err.(*Refusal); ok && refused == nil {
		return nil
	}
	return err
}

// long is how many bytes stand before their line at most, since the host cuts a long message at its end.
const long = 500

// told is what a panic says, with its line.
func told(text, line string) string {
	if len(text) > long {
		text, line = line, text
	}
	return strings.TrimSpace(text + " " + line)
}

// module is the author's, by whose path the functions in its packages are named.
var module = sync.OnceValue(func() string {
	if info, is := debug.ReadBuildInfo(); is {
		return info.Main.Path
	}
	return ""
})

// isOwn is whether a function is of the author's module, and not of one that it imports or of the standard library.
func isOwn(function string) bool {
	of := module()
	within, is := strings.CutPrefix(function, of)
	return strings.HasPrefix(function, "main.") || is && of != "" && strings.IndexAny(within, "./") == 0
}

// panicked is the line of the author's code at which it was, whatever that had called. Where none of it was running, it
// is the first line outside the SDK, if there is one.
func panicked() string {
	callers := make([]uintptr, 1024)
	frames := runtime.CallersFrames(callers[:runtime.Callers(3, callers)])
	first := ""
	for more := true; more; {
		var frame runtime.Frame
		frame, more = frames.Next()
		if frame.File == "<autogenerated>" || strings.HasPrefix(frame.Function, "runtime.") || strings.HasPrefix(frame.Function, "clickmill.") {
			continue
		}
		place := fmt.Sprintf("(%s, line %d)", frame.File[strings.LastIndexByte(frame.File, '/')+1:], frame.Line)
		if isOwn(frame.Function) {
			return place
		}
		if first == "" {
			first = place
		}
	}
	return first
}
