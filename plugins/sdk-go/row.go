package clickmill

import (
	"fmt"
	"reflect"
	"strings"
)

// Row is one row of a batch. Columns are named by path, through records that are no lists: `user.email`. To ask for one
// that Configure does not announce, or as another type than it has, is a mistake of the plugin: it panics.
//
// Values are nil, bool, int64, float64, Decimal, string, []byte, []any for lists, and map[string]any for records.
// Dates are days since 1970-01-01, times of day microseconds since midnight, datetimes and timestamps
// microseconds since 1970-01-01: int64 all of them. JSON is its text. What is read may be written to: it is a copy.
type Row struct {
	batch      *batch
	index      int
	writes     []Column
	roots      []*node
	multiplies bool
	made       made
	emitted    []made
}

// made is what is set of a row in the making, and what becomes of it.
type made struct {
	sets    map[string]any
	dropped bool
	refused *Refusal
}

// Value is the row's value in a column, whatever it is; nil where it is null.
func (r *Row) Value(path string) any {
	if c := r.batch.at(path, r.index); c >= 0 {
		return r.batch.value(c, r.index)
	}
	return nil
}

// Text is the row's text in a column of text or JSON; false where it is null.
func (r *Row) Text(path string) (string, bool) { return get[string](r, path) }

// Int64 is the row's integer in a column, also of dates and times; false where it is null.
func (r *Row) Int64(path string) (int64, bool) { return get[int64](r, path) }

// Decimal is the row's exact number in a column; false where it is null.
func (r *Row) Decimal(path string) (Decimal, bool) { return get[Decimal](r, path) }

// RequireText is the row's text in a column; where it is null the error refuses the row, with code `required`.
func (r *Row) RequireText(path string) (string, error) { return require[string](r, path) }

// RequireInt64 is the row's integer in a column; where it is null the error refuses the row, with code `required`.
func (r *Row) RequireInt64(path string) (int64, error) { return require[int64](r, path) }

// RequireDecimal is the row's exact number in a column; where it is null the error refuses the row, with code `required`.
func (r *Row) RequireDecimal(path string) (Decimal, error) { return require[Decimal](r, path) }

// Require is the row's value in a column, whatever it is; where it is null the error refuses the row, with code
// `required`.
func (r *Row) Require(path string) (any, error) { return require[any](r, path) }

// Float64 is the row's number in a column; false where it is null.
func (r *Row) Float64(path string) (float64, bool) { return get[float64](r, path) }

// Boolean is the row's boolean in a column; false, false where it is null.
func (r *Row) Boolean(path string) (value, ok bool) { return get[bool](r, path) }

// Blob is the row's bytes in a column; nil, false where it is null.
func (r *Row) Blob(path string) ([]byte, bool) { return get[[]byte](r, path) }

// Record is the row's record in a column; nil, false where it is null.
func (r *Row) Record(path string) (map[string]any, bool) { return get[map[string]any](r, path) }

// List is the row's list in a column.
func (r *Row) List(path string) []any {
	list, _ := get[[]any](r, path)
	return list
}

func get[T any](r *Row, path string) (T, bool) {
	value := r.Value(path)
	typed, ok := value.(T)
	if !ok && value != nil {
		panic(fmt.Sprintf("`%s` has values of %T, not of %T", path, value, typed))
	}
	return typed, ok
}

func require[T any](r *Row, path string) (T, error) {
	value, ok := get[T](r, path)
	if !ok {
		return value, Reject("required", "`%s` is missing", path).Column(path)
	}
	return value, nil
}

// IngestTime is when the host took the row in, in microseconds since 1970-01-01T00:00:00Z: the plugin's "now".
func (r *Row) IngestTime() int64 { return r.batch.ingestTime }

// Set sets a column that was announced. One that is not set keeps what was read of it, or is null. A list may be a
// slice of another type too, such as []string, and a record a map, such as map[string]int64. A record that was
// announced is set whole. A field that was announced without its record is set by path; where that leads
// through a list, with a list that has a value for each element. A blob or a record that is nil is null.
//
// It panics where the column was not announced, or as another type: a mistake of the plugin. So it does where a field
// of a record was not announced, the record was in its place, a text is not UTF-8, or a date has more than 32 bits.
func (r *Row) Set(path string, value any) {
	for _, column := range r.writes {
		if column.Path == path {
			// Here for the line of the author's.
			checkSet(r.roots, path, value, path)
			if r.made.sets == nil {
				r.made.sets = map[string]any{}
			}
			r.made.sets[path] = value
			return
		}
	}
	panic(fmt.Sprintf("`%s` is set but not announced: add setup.Writes(%q, …) to Configure", path, path))
}

// FilterOut filters the row out: counted, not dead-lettered.
func (r *Row) FilterOut() { r.made.dropped = true }

// Emit ends a row of those that become of this one, with what is set: a copy, so that a map or slice may be filled
// again for the next one. Where the row's function returns an error, those that were emitted are forgotten.
func (r *Row) Emit() {
	if !r.multiplies {
		panic("a row is emitted, but Configure does not call setup.Multiplies()")
	}
	for path, value := range r.made.sets {
		if isShared(value) {
			r.made.sets[path] = clone(reflect.ValueOf(value)).Interface()
		}
	}
	r.emitted = append(r.emitted, r.made)
	r.made = made{}
}

// EmitRefused ends a row as Emit does, and refuses it alone.
func (r *Row) EmitRefused(err error) {
	r.made.refused = refusal(err)
	r.Emit()
}

// output is what a plugin answers for a batch.
type output struct {
	cameFrom   []uint32
	columns    []column
	rejections []rejection
	dropped    []uint32
}

type rejection struct {
	row uint32
	*Refusal
}

// process transforms a batch.
func process(config []byte, in *batch) output {
	setup := &Setup{}
	transform := plugin.ready(config, setup)
	if transform == nil {
		panic(strings.Join(setup.problems, "; "))
	}
	roots := nodesOf(setup.writes, in)
	var out output
	rows := uint32(0)
	end := func(index int, made made) {
		for _, root := range roots {
			root.push(root.of(in, index, made.sets))
		}
		if made.refused != nil {
			out.rejections = append(out.rejections, rejection{rows, made.refused})
		} else if made.dropped {
			out.dropped = append(out.dropped, rows)
		}
		if setup.multiplies {
			out.cameFrom = append(out.cameFrom, uint32(index))
		}
		rows++
	}
	row := Row{batch: in, writes: setup.writes, roots: roots, multiplies: setup.multiplies}
	for index := range in.rows {
		row.index, row.made, row.emitted = index, made{}, row.emitted[:0]
		err := rowSafely(transform, &row)
		if err == nil {
			err = fits(roots, &row)
		}
		switch {
		case err != nil:
			// What was set may be why.
			end(index, made{refused: refusal(err)})
		case len(row.emitted) == 0:
			end(index, row.made)
		default:
			for _, emitted := range row.emitted {
				end(index, emitted)
			}
		}
	}
	out.columns = finish(roots, -1, nil)
	return out
}

// fits looks at what was set for a row, before any of it is taken.
func fits(roots []*node, row *Row) error {
	if len(row.emitted) > 0 && (len(row.made.sets) > 0 || row.made.dropped) {
		return Reject("exception", "a row is set or filtered out after the last one was emitted: call Emit behind it")
	}
	return rowSafely(func(row *Row) error {
		for _, made := range append(row.emitted, row.made) {
			for path, value := range made.sets {
				// As it is by now.
				if isShared(value) {
					checkSet(roots, path, value, path)
				}
			}
			for _, root := range roots {
				if root.announced {
					continue
				}
				for path := range made.sets {
					if first, _, _ := strings.Cut(path, "."); first == root.name {
						root.check(root.of(row.batch, row.index, made.sets), false)
						break
					}
				}
			}
		}
		return nil
	}, row)
}
