package clickmill

import (
	"fmt"
	"strings"
)

// Type is the type of a column's values.
type Type uint8

// The types of columns, in the contract's order.
const (
	Boolean Type = iota
	Int64
	Float64
	NumericDecimal
	Date
	Time
	Datetime
	Timestamp
	Text
	JSON
	Blob
	Record
)

// column is one column of a batch. Of its values, those of its type are there.
type column struct {
	name    string
	parent  int // -1: a column of the batch itself
	kind    Type
	offsets []uint32 // where it is repeated
	valid   []byte   // where some are null
	bytes   []byte   // of booleans; of texts, end to end
	ints    []int64
	days    []int32
	floats  []float64
	words   []Decimal
	ends    []uint32 // of texts: offsets, from 0
	indices []uint32 // where texts are a dictionary
}

// batch is what a plugin is given.
type batch struct {
	rows       int
	ingestTime int64
	columns    []column
}

func (b *batch) find(parent int, name string) int {
	for at := range b.columns {
		if c := &b.columns[at]; c.parent == parent && c.name == name {
			return at
		}
	}
	return -1
}

// at is the column of a path, through records that are no lists; -1 where one of them is null. It panics where none is
// read there: a mistake of the plugin.
func (b *batch) at(path string, index int) int {
	rest := path
	for at := -1; ; {
		name, below, more := strings.Cut(rest, ".")
		if at = b.find(at, name); at >= 0 && !more {
			return at
		}
		if at < 0 || b.columns[at].kind != Record || b.columns[at].offsets != nil {
			panic(fmt.Sprintf("`%s` is not read: add setup.Reads(%q, …) to Configure", path, path))
		}
		if !b.columns[at].isValid(index) {
			return -1
		}
		rest = below
	}
}

func (c *column) isValid(index int) bool { return c.valid == nil || c.valid[index/8]>>(index%8)&1 == 1 }

func (b *batch) value(at, index int) any {
	c := &b.columns[at]
	if c.offsets == nil {
		return b.element(at, index)
	}
	list := make([]any, 0, c.offsets[index+1]-c.offsets[index])
	for i := c.offsets[index]; i < c.offsets[index+1]; i++ {
		list = append(list, b.element(at, int(i)))
	}
	return list
}

func (b *batch) element(at, index int) any {
	c := &b.columns[at]
	if !c.isValid(index) {
		return nil
	}
	switch c.kind {
	case Boolean:
		return c.bytes[index] != 0
	case Float64:
		return c.floats[index]
	case NumericDecimal:
		return c.words[index]
	case Date:
		return int64(c.days[index])
	case Text, JSON, Blob:
		if c.indices != nil {
			index = int(c.indices[index])
		}
		bytes := c.bytes[c.ends[index]:c.ends[index+1]]
		if c.kind == Blob {
			// A copy, which the author may write to: behind these bytes are those of the next row. Empty it is no nil.
			return append([]byte{}, bytes...)
		}
		return text(bytes)
	case Record:
		record := map[string]any{}
		for field := at + 1; field < len(b.columns); field++ {
			if b.columns[field].parent == at {
				record[b.columns[field].name] = b.value(field, index)
			}
		}
		return record
	default:
		return c.ints[index]
	}
}
