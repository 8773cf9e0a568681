//go:build !wasip1

package clickmill

import "fmt"

// In tests the host's part is played here.

var words = [...]string{"debug", "info", "warn", "error"}

// Log has the lines that were written in tests.
var Log []string

// Tables are the lookup tables of tests: by name, by key, by field.
var Tables = map[string]map[string]map[string]string{}

func writeLog(level uint32, line string) { Log = append(Log, words[level]+": "+line) }

func countUnreadable(column string, values uint32) {
	Log = append(Log, fmt.Sprintf("unreadable: %d %s", values, column))
}

func find(table, field string, offsets []uint32, keys []byte) (column, string, bool) {
	rows, ok := Tables[table]
	if !ok {
		return column{}, "no lookup table `" + table + "`: name it under `lookups` in the pipeline file", false
	}
	found := newNode(field)
	found.kind = Text
	found.start()
	for i := range len(offsets) - 1 {
		if value, ok := rows[string(keys[offsets[i]:offsets[i+1]])][field]; ok {
			found.push(value)
		} else {
			found.push(nil)
		}
	}
	return finish([]*node{found}, -1, nil)[0], "", true
}
