package clickmill

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Outcome is what became of a row in a test.
type Outcome struct {
	// Row has the columns that were written.
	Row     map[string]any
	Refused *Refusal
	Dropped bool
}

// Test runs a plugin over rows, in a batch of them, with a configuration in JSON. The columns are those that the
// plugin reads; one that a row lacks is null. The error has the problems of the configuration.
func Test[C any](p Plugin[C], config string, rows ...map[string]any) ([]Outcome, error) {
	before := plugin
	plugin = p.exported()
	defer func() { plugin = before }()
	if !json.Valid([]byte(config)) {
		return nil, fmt.Errorf("the configuration is no JSON")
	}
	setup := &Setup{Available: []Column{}}
	plugin.ready([]byte(config), setup)
	if len(setup.problems) > 0 {
		return nil, fmt.Errorf("%s", strings.Join(setup.problems, "; "))
	}
	in := &batch{rows: len(rows)}
	given := nodesOf(setup.reads, in)
	for _, row := range rows {
		for _, node := range given {
			node.check(row[node.name], false)
			node.push(row[node.name])
		}
	}
	in.columns = finish(given, -1, nil)
	out := process([]byte(config), in)
	length := len(rows)
	if out.cameFrom != nil {
		length = len(out.cameFrom)
	}
	made := &batch{columns: out.columns}
	outcomes := make([]Outcome, length)
	for i := range outcomes {
		outcomes[i].Row = map[string]any{}
		for at, column := range out.columns {
			if column.parent < 0 {
				outcomes[i].Row[column.name] = made.value(at, i)
			}
		}
	}
	for _, rejection := range out.rejections {
		outcomes[rejection.row].Refused = rejection.Refusal
	}
	for _, row := range out.dropped {
		outcomes[row].Dropped = true
	}
	return outcomes, nil
}
