package statusview

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/mintonce/mintonce/coordinator"
)

// bar shows the life of the token: what has passed, the refresh moment as |,
// and what is left.
func bar(s coordinator.Status) string {
	const cells = 40
	life := s.ExpiresAt.Sub(s.IssuedAt)
	cell := func(at time.Time) int {
		if life <= 0 {
			return cells
		}
		return min(max(int(int64(cells)*int64(at.Sub(s.IssuedAt))/int64(life)), 0), cells)
	}
	drawn := []byte(strings.Repeat("#", cell(s.Now)) + strings.Repeat(".", cells-cell(s.Now)))
	if s.Now.Before(s.ExpiresAt) {
		drawn[min(cell(s.RefreshAt), cells-1)] = '|'
	}
	left := "expired"
	if s.Now.Before(s.ExpiresAt) {
		left = short(s.ExpiresAt.Sub(s.Now)) + " of " + short(life.Round(time.Second)) + " left"
	}
	return "[" + string(drawn) + "] " + left
}

func by(instance string) string {
	if instance == "" {
		return ""
	}
	return " by " + instance
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return " (" + reason + ")"
}

func times(n int) string {
	if n == 1 {
		return "1 mint failed"
	}
	return fmt.Sprintf("%d mints in a row failed", n)
}

func ago(now, at time.Time) string {
	if at.After(now) {
		return until(now, at)
	}
	return short(now.Sub(at)) + " ago"
}

func until(now, at time.Time) string {
	if at.Before(now) {
		return short(now.Sub(at)) + " ago"
	}
	return "in " + short(at.Sub(now))
}

// short is a duration with its two largest units, such as 1h59m.
func short(d time.Duration) string {
	d = d.Truncate(time.Second)
	switch {
	case d < 0:
		return "0s"
	case d >= 24*time.Hour:
		return fmt.Sprintf("%dd%dh", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	default:
		return fmt.Sprintf("%ds", d/time.Second)
	}
}

// wrap breaks text into lines of at most width characters, between words where
// that is possible.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			lines, line = append(lines, line), ""
		}
		for utf8.RuneCountInString(word) > width {
			cut := len(string([]rune(word)[:width]))
			lines, word = append(lines, word[:cut]), word[cut:]
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}

func clip(text string, width int) string {
	if runes := []rune(text); len(runes) > width {
		return string(runes[:width-3]) + "..."
	}
	return text
}

// printable keeps what a record says from moving the terminal's cursor.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text)
}
