package clickmill

import (
	"encoding/binary"
	"strings"
	"unicode/utf8"
	"unsafe"
)

// What crosses the boundary, as `wit/plugin.wit` lays it out, with addresses of 32 bits.

//go:wasmimport clickmill:plugin/log@0.2.0 write
func hostLog(level uint32, text unsafe.Pointer, length uint32)

//go:wasmimport clickmill:plugin/log@0.2.0 unreadable
func hostUnreadable(column unsafe.Pointer, length, values uint32)

//go:wasmimport clickmill:plugin/lookup@0.2.0 find
func hostFind(table unsafe.Pointer, tableLength uint32, field unsafe.Pointer, fieldLength uint32,
	offsets unsafe.Pointer, offsetCount uint32, bytes unsafe.Pointer, byteCount uint32, answer unsafe.Pointer)

func writeLog(level uint32, line string) {
	line = valid(line)
	hostLog(level, unsafe.Pointer(unsafe.StringData(line)), uint32(len(line)))
}

func countUnreadable(column string, values uint32) {
	hostUnreadable(unsafe.Pointer(unsafe.StringData(column)), uint32(len(column)), values)
}

func find(table, field string, offsets []uint32, keys []byte) (column, string, bool) {
	answer := make(memory, 72)
	hostFind(unsafe.Pointer(unsafe.StringData(table)), uint32(len(table)),
		unsafe.Pointer(unsafe.StringData(field)), uint32(len(field)),
		unsafe.Pointer(unsafe.SliceData(offsets)), uint32(len(offsets)),
		unsafe.Pointer(unsafe.SliceData(keys)), uint32(len(keys)),
		unsafe.Pointer(unsafe.SliceData(answer)))
	if answer[0] == 0 {
		return columnAt(answer[4:]), "", true
	}
	switch answer[4] {
	case 0:
		return column{}, "no lookup table `" + table + "`: name it under `lookups` in the pipeline file", false
	case 1:
		return column{}, "lookup table `" + table + "` has no field `" + field + "`", false
	default:
		return column{}, "malformed lookup keys: " + text(listAt[byte](answer[8:])), false
	}
}

// held is memory that the host has the addresses of, until it says that it has taken what is there.
var held []any

//go:wasmexport cabi_realloc
func cabiRealloc(old, oldLength, align, length uint32) uint32 {
	// In words of 64 bits, so that all alignments hold.
	words := make([]uint64, length/8+1)
	if oldLength > 0 {
		copy(memoryOf(words), unsafe.Slice((*byte)(unsafe.Pointer(uintptr(old))), oldLength))
	}
	return hold(words)
}

func memoryOf(words []uint64) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(words))), len(words)*8)
}

func hold[T any](list []T) uint32 {
	if len(list) == 0 {
		return 8
	}
	held = append(held, list)
	return uint32(uintptr(unsafe.Pointer(unsafe.SliceData(list))))
}

// listAt is a list whose address and length lie there.
func listAt[T any](at memory) []T {
	address, length := at.get(0), at.get(4)
	if length == 0 {
		return []T{}
	}
	return unsafe.Slice((*T)(unsafe.Pointer(uintptr(address))), length)
}

// memory is a record as it crosses the boundary.
type memory []byte

func (m memory) get(at int) uint32 { return binary.LittleEndian.Uint32(m[at:]) }

func (m memory) put(at int, value uint32) { binary.LittleEndian.PutUint32(m[at:], value) }

func putList[T any](m memory, at int, list []T) {
	m.put(at, hold(list))
	m.put(at+4, uint32(len(list)))
}

func putText(m memory, at int, text string) { putList(m, at, []byte(valid(text))) }

// valid is a text with a mark in place of what is not UTF-8, as where a character was cut: for such a message or line
// the host would end the call.
func valid(text string) string {
	if utf8.ValidString(text) {
		return text
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}

// putRecords puts a list of records of so many bytes, each of which is filled.
func putRecords[T any](m memory, at, size int, list []T, fill func(memory, T)) {
	// Words, for the alignment.
	words := make([]uint64, len(list)*size/8+1)
	bytes := memoryOf(words)
	for i, value := range list {
		fill(memory(bytes[i*size:(i+1)*size]), value)
	}
	m.put(at, hold(words))
	m.put(at+4, uint32(len(list)))
}

func answerOf(size int) memory { return memory(memoryOf(make([]uint64, size/8+1))) }

func (m memory) address() uint32 { return hold(m) }

//go:wasmexport describe
func describe() uint32 {
	m := answerOf(40)
	for i, text := range []string{plugin.name, plugin.version, plugin.description, plugin.schema()} {
		putText(m, i*8, text)
	}
	putRecords(m, 32, 12, plugin.secrets, func(m memory, secret Secret) {
		putText(m, 0, secret.Name)
		m.put(8, secret.MinBytes)
	})
	return m.address()
}

func putSpecs(m memory, at int, columns []Column) {
	putRecords(m, at, 12, columns, func(m memory, column Column) {
		putText(m, 0, column.Path)
		m[8] = byte(column.Type)
		if column.Repeated {
			m[9] = 1
		}
	})
}

//go:wasmexport configure
func configure(config unsafe.Pointer, configLength uint32, available unsafe.Pointer, count uint32) uint32 {
	setup := &Setup{Available: []Column{}}
	for i := range int(count) {
		m := memory(unsafe.Slice((*byte)(unsafe.Add(available, i*12)), 12))
		setup.Available = append(setup.Available, Column{string(listAt[byte](m)), Type(m[8]), m[9] != 0})
	}
	plugin.ready(unsafe.Slice((*byte)(config), configLength), setup)
	m := answerOf(40)
	if len(setup.problems) > 0 {
		m[0] = 1
		putRecords(m, 4, 8, setup.problems, func(m memory, problem string) { putText(m, 0, problem) })
		return m.address()
	}
	putSpecs(m, 4, setup.reads)
	putSpecs(m, 12, setup.writes)
	putRecords(m, 20, 8, setup.lookups, func(m memory, table string) { putText(m, 0, table) })
	if setup.multiplies {
		m[28] = 1
	}
	return m.address()
}

//go:wasmexport process
func processBatch(config unsafe.Pointer, configLength uint32, prepared unsafe.Pointer, preparedLength uint32,
	rows uint32, ingestTime int64, columns unsafe.Pointer, count uint32) uint32 {
	in := &batch{rows: int(rows), ingestTime: ingestTime}
	for i := range int(count) {
		in.columns = append(in.columns, columnAt(unsafe.Slice((*byte)(unsafe.Add(columns, i*68)), 68)))
	}
	out := process(unsafe.Slice((*byte)(config), configLength), in)
	m := answerOf(40)
	if out.cameFrom != nil {
		m[4] = 1
		putList(m, 8, out.cameFrom)
	}
	putRecords(m, 16, 68, out.columns, putColumn)
	putRecords(m, 24, 32, out.rejections, func(m memory, r rejection) {
		m.put(0, r.row)
		putText(m, 4, r.Code)
		putText(m, 12, r.Message)
		if r.Of != "" {
			m[20] = 1
			putText(m, 24, r.Of)
		}
	})
	putList(m, 32, out.dropped)
	return m.address()
}

//go:wasmexport cabi_post_describe
func postDescribe(uint32) { held = nil }

//go:wasmexport cabi_post_configure
func postConfigure(uint32) { held = nil }

//go:wasmexport cabi_post_process
func postProcess(uint32) { held = nil }

// dictionary is the one form that values cross the boundary in that is no type of its own.
const dictionary = 9

func columnAt(m memory) column {
	c := column{name: string(listAt[byte](m)), parent: -1}
	if m[8] != 0 {
		c.parent = int(m.get(12))
	}
	if m[16] != 0 {
		c.offsets = listAt[uint32](m[20:])
	}
	if m[56] != 0 {
		c.valid = listAt[byte](m[60:])
	}
	form, values := m[28], m[32:]
	switch {
	case form == dictionary:
		c.kind, c.indices = Text, listAt[uint32](values)
		c.ends, c.bytes = listAt[uint32](values[8:]), listAt[byte](values[16:])
		return c
	case form > dictionary:
		c.kind = Type(form - 1)
	default:
		c.kind = Type(form)
	}
	switch c.kind {
	case Boolean:
		c.bytes = listAt[byte](values)
	case Float64:
		c.floats = listAt[float64](values)
	case NumericDecimal:
		words := listAt[Decimal](values)
		c.words = words[:len(words)/2]
	case Date:
		c.days = listAt[int32](values)
	case Text, JSON, Blob:
		c.ends, c.bytes = listAt[uint32](values), listAt[byte](values[8:])
	case Record:
	default:
		c.ints = listAt[int64](values)
	}
	return c
}

func putColumn(m memory, c column) {
	putText(m, 0, c.name)
	if c.parent >= 0 {
		m[8] = 1
		m.put(12, uint32(c.parent))
	}
	if c.offsets != nil {
		m[16] = 1
		putList(m, 20, c.offsets)
	}
	m[28] = byte(c.kind)
	if c.kind > Text {
		m[28]++
	}
	switch c.kind {
	case Boolean:
		putList(m, 32, c.bytes)
	case Float64:
		putList(m, 32, c.floats)
	case NumericDecimal:
		putList(m, 32, c.words)
		m.put(36, uint32(len(c.words)*2))
	case Date:
		putList(m, 32, c.days)
	case Text, JSON, Blob:
		putList(m, 32, c.ends)
		putList(m, 40, c.bytes)
	case Record:
	default:
		putList(m, 32, c.ints)
	}
	if c.valid != nil {
		m[56] = 1
		putList(m, 60, c.valid)
	}
}
