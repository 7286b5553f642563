package config

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"unicode"

	"go.yaml.in/yaml/v4"
)

// reader walks the YAML of a file by the shape that it should have. It keeps
// the first error, and does nothing more after that.
type reader struct {
	file   string
	config *Config
	err    error
}

// node is a part of the file and the path to it, such as tokens.shop.wechat.
type node struct {
	yaml *yaml.Node
	path string
	key  int // the line of its key, if it has one
}

// node follows an alias. The walk ends even for an alias within itself,
// because the shape of a config has an end.
func (r *reader) node(y *yaml.Node, path string) node {
	if y.Kind == yaml.AliasNode && y.Alias != nil {
		y = y.Alias
	}
	return node{yaml: y, path: path}
}

// empty reports whether a key stands without a value.
func (n node) empty() bool { return n.yaml.Kind == yaml.ScalarNode && n.yaml.ShortTag() == "!!null" }

func (r *reader) place(n node) string {
	what := n.path
	if what == "" {
		what = "the file"
	}
	return fmt.Sprintf("%s:%d: %s", r.file, n.yaml.Line, what)
}

func (r *reader) fail(n node, problem, remedy string) {
	if r.err == nil {
		r.err = &Error{r.place(n), problem, remedy}
	}
}

// text reads a text, and notes where it stands.
func (r *reader) text(into *string) func(node) {
	return func(n node) {
		if r.scalar(n, into) {
			r.config.Set(n.path, r.place(n))
		}
	}
}

// fact reads a text of a token, and notes its line.
func (r *reader) fact(into *string, line *int32) func(node) {
	return func(n node) {
		if r.scalar(n, into) {
			*line = int32(n.yaml.Line)
		}
	}
}

// scalar reads a text. A number is one, too, as it stands; a value that is
// missing leaves the text empty, and false is returned.
func (r *reader) scalar(n node, into *string) bool {
	if n.yaml.Kind != yaml.ScalarNode {
		r.fail(n, "must be one text", "write it on one line")
		return false
	}
	if n.empty() {
		return false
	}
	*into = n.yaml.Value
	return true
}

func (r *reader) boolean(into *bool) func(node) {
	return func(n node) {
		value, err := strconv.ParseBool(n.yaml.Value)
		if n.yaml.Kind != yaml.ScalarNode || n.yaml.ShortTag() != "!!bool" || err != nil {
			r.fail(n, "must be true or false", "")
			return
		}
		*into = value
	}
}

// number reads a number above 0. A value that is missing leaves it as it is.
func (r *reader) number(into *float64) func(node) {
	return func(n node) {
		var text string
		if !r.scalar(n, &text) {
			return
		}
		value, err := strconv.ParseFloat(text, 64)
		if err != nil || !(value > 0) || math.IsInf(value, 0) {
			r.fail(n, "must be a number above 0", "")
			return
		}
		*into = value
	}
}

// list reads a list. A key without a value is an empty one.
func (r *reader) list(n node, element func(node)) {
	if n.empty() {
		return
	}
	if n.yaml.Kind != yaml.SequenceNode {
		r.fail(n, "must be a list", "write [A, B], or each on a line of its own after a dash")
		return
	}
	for i, y := range n.yaml.Content {
		element(r.node(y, fmt.Sprintf("%s[%d]", n.path, i+1)))
	}
}

func (r *reader) texts(add func(string)) func(node) {
	return func(n node) {
		r.list(n, func(n node) {
			var s string
			r.text(&s)(n)
			add(s)
		})
	}
}

// mapping reads a mapping whose keys are known.
func (r *reader) mapping(n node, known map[string]func(node)) {
	whole := n
	r.entries(n, func(key string, n node) {
		read, ok := known[key]
		if !ok {
			r.fail(node{yaml: &yaml.Node{Line: n.key}, path: n.path}, "is not a key that mintonce knows", suggest(key, known, missing(whole)...))
			return
		}
		read(n)
	})
}

// required are keys without which their mapping says nothing.
var required = []string{"appid", "corpid", "agent", "of", "name", "tokens"}

// missing are the required keys that a mapping does not have.
func missing(n node) []string {
	return slices.DeleteFunc(slices.Clone(required), func(key string) bool {
		for i := 0; n.yaml.Kind == yaml.MappingNode && i < len(n.yaml.Content); i += 2 {
			if n.yaml.Content[i].Value == key {
				return true
			}
		}
		return false
	})
}

// entries reads a mapping whose keys are names.
func (r *reader) entries(n node, entry func(key string, n node)) {
	if n.empty() {
		return
	}
	if n.yaml.Kind != yaml.MappingNode {
		r.fail(n, "must be a mapping", "write KEY: VALUE lines below it")
		return
	}
	seen := make(map[string]bool)
	for i := 0; i+1 < len(n.yaml.Content) && r.err == nil; i += 2 {
		keyNode, value := r.node(n.yaml.Content[i], n.path), r.node(n.yaml.Content[i+1], n.path)
		key := keyNode.yaml.Value
		path := printable(key)
		if n.path != "" {
			path = n.path + "." + path
		}
		at := node{yaml: &yaml.Node{Line: keyNode.yaml.Line}, path: path, key: keyNode.yaml.Line}
		switch {
		case keyNode.yaml.Kind != yaml.ScalarNode:
			r.fail(n, "has a key that is not a text", "write KEY: VALUE lines")
		case seen[key]:
			r.fail(at, "stands here a second time", "keep one of them")
		default:
			seen[key] = true
			at.yaml = value.yaml
			if at.yaml.Line == 0 {
				at.yaml.Line = keyNode.yaml.Line
			}
			entry(key, at)
		}
	}
}

// printable makes a key of the file fit for an error message: short, and on one
// line.
func printable(key string) string {
	const most = 64
	if len(key) <= most && !slices.ContainsFunc([]rune(key), func(r rune) bool { return !unicode.IsPrint(r) }) && key != "" {
		return key
	}
	return strconv.QuoteToASCII(key[:min(len(key), most)])
}
