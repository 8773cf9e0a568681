package clickmill

import (
	"fmt"
	"unsafe"
)

// Debug writes a line to the operator's log, for the plugin's author.
func Debug(format string, arguments ...any) { writeLog(0, fmt.Sprintf(format, arguments...)) }

// Info writes a line that is worth knowing.
func Info(format string, arguments ...any) { writeLog(1, fmt.Sprintf(format, arguments...)) }

// Warn writes a line on something that is odd; the plugin goes on.
func Warn(format string, arguments ...any) { writeLog(2, fmt.Sprintf(format, arguments...)) }

// Error writes a line on something that failed.
func Error(format string, arguments ...any) { writeLog(3, fmt.Sprintf(format, arguments...)) }

// Unreadable counts values of a column, written by this plugin, that could not be read and are null instead.
func Unreadable(column string, values int) { countUnreadable(column, uint32(values)) }

// Find asks a lookup table: the field of the rows that have these keys, nil where the table has no such key. One
// call to the host, so ask for many keys at once. The error says that the table was not granted, or has no such
// field.
func Find(table, field string, keys ...string) ([]*string, error) {
	offsets, bytes := make([]uint32, 1, len(keys)+1), []byte{}
	for _, key := range keys {
		bytes = append(bytes, key...)
		offsets = append(offsets, uint32(len(bytes)))
	}
	values, why, ok := find(table, field, offsets, bytes)
	if !ok {
		return nil, fmt.Errorf("%s", why)
	}
	found := make([]*string, len(keys))
	in := &batch{columns: []column{values}}
	for i := range found {
		if value, ok := in.element(0, i).(string); ok {
			found[i] = &value
		}
	}
	return found, nil
}

// text is bytes as they lie there. They are never written again.
func text(bytes []byte) string { return unsafe.String(unsafe.SliceData(bytes), len(bytes)) }
