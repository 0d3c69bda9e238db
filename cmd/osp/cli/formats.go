package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/osproxy/osproxy/docs/schema"
)

// formatsText is the topic `osp help formats`, made from the published schemas.
func formatsText() string {
	var b strings.Builder
	b.WriteString(reflow("With --json osp prints one object a line, on standard output alone. Verbs that work on files end "+
		"with a Summary, also when nothing could be started, and print a Result for each file before it, in the order in "+
		"which they end; the others print the objects that they name.\n\n"+
		"A field without a value is null. Fields may be added, so skip those you do not know; none is ever taken away, "+
		"renamed or given another meaning. A field marked with ? is there only where it says something. As JSON Schema: docs/schema in the source of osp.", textWidth))
	for _, name := range formats() {
		o := schema.Read(name)
		fmt.Fprintf(&b, "\n%s\n", o.Title)
		b.WriteString(wrap(o.Description, 2, textWidth))
		b.WriteString("\n")
		fieldLines(&b, o, "  ")
	}
	return b.String()
}

// formats are the names of the schemas: what all verbs have in common first.
func formats() []string {
	first := []string{"result.json", "summary.json"}
	others := slices.DeleteFunc(schema.Names(), func(name string) bool { return slices.Contains(first, name) })
	return slices.Concat(first, others)
}

// fieldLines are the fields of an object, and below each those of the object
// that it is.
func fieldLines(b *strings.Builder, o *schema.Object, indent string) {
	for _, name := range o.Fields() {
		field := o.Properties[name]
		shown := indent + name
		if !slices.Contains(o.Required, name) {
			shown += "?"
		}
		// A field with a $ref may have a description of its own.
		value := field.Resolve()
		text := field.Description
		if text == "" && field.Ref != "" {
			text = value.Description
		}
		if len(value.Enum) > 0 {
			text = strings.TrimSpace(text + " One of " + listed(value.Enum) + ".")
		}
		line := fmt.Sprintf("%-18s %-15s", shown, kindText(value))
		if text != "" {
			text = strings.TrimLeft(wrap(text, fieldText, textWidth), " ")
			line = fmt.Sprintf("%-*s%s", fieldText, line, strings.TrimSuffix(text, "\n"))
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
		if value.Items != nil {
			value = value.Items.Resolve()
		}
		fieldLines(b, value, indent+"  ")
	}
}

// fieldText is the column in which the text about a field begins.
const fieldText = 36

// kindText is what the field may be.
func kindText(o *schema.Object) string {
	if o.Const != nil {
		return fmt.Sprint(o.Const)
	}
	kinds := o.Kinds()
	if i := slices.Index(kinds, "null"); i >= 0 { // last
		kinds = append(slices.Delete(kinds, i, i+1), "null")
	}
	return strings.Join(kinds, "|")
}

func listed(words []any) string {
	var text []string
	for _, word := range words {
		text = append(text, fmt.Sprint(word))
	}
	return strings.Join(text, ", ")
}
