// Package plain makes error texts fit for people: one line, without the names
// of packages.
package plain

import (
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// packages finds the names where an error's text can begin or go on with them,
// and nowhere else: a path may end in one of them, such as /var/lib/mintonce.
var packages = regexp.MustCompile(`(^|: |; |\n)(?:(?:mintonce|redisstore|filestore|sealedstore|wechat|wecom): )+`)

// Text is the text of err on one line, without the names of this project's
// packages. It is empty for nil.
func Text(err error) string {
	if err == nil {
		return ""
	}
	return Clean(err.Error())
}

// Clean does to the text of an error what Text does.
func Clean(text string) string {
	text = packages.ReplaceAllString(text, "$1")
	text = strings.ReplaceAll(strings.TrimSpace(text), "\n", "; ") // errors.Join
	text = strings.ReplaceAll(text, "context deadline exceeded", "the time is up")
	return Line(text)
}

// Count is a number with what it counts, such as "1 mint" or "2 mints".
func Count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

// Line is text on one line, with blanks for what is not printable.
func Line(text string) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	return strings.Join(strings.Fields(text), " ")
}
