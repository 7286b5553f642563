package redisstore

import (
	"bytes"
	"fmt"
)

// What one reply may hold at most: a few times of the most that a Store, or
// go-redis by itself, ever reads. go-redis makes room for what a header says
// before any of it has arrived, and calls itself for every level.
const (
	// longestText is of one string. A field of a record has up to 64 KiB, INFO
	// of a busy server about as much.
	longestText = 1 << 20
	// longestLine is of a status, an error or a number, with its end. The
	// longest errors of Redis, those from scripts, have some hundred bytes. It
	// is half of go-redis's buffer, which grows without bound for longer ones.
	longestLine = 16 << 10
	// mostElements is of all arrays and maps of the reply together. A history
	// of 1,100 entries has 30,000, COMMAND of Redis 7 has 12,000, and CLUSTER
	// SLOTS 23 for each range of slots with three nodes.
	mostElements = 1 << 17
	// mostText is of all strings and lines together. A record of as many and as
	// long fields as can be read has 7 MB; 1,100 entries of a history have it
	// at 60 KB each.
	mostText = 64 << 20
	// deepest is how far arrays and maps are nested: those of COMMAND nine
	// levels, those of a Store four.
	deepest = 16
)

// framing follows the replies on a connection, RESP2 or RESP3, in whatever
// pieces they arrive, and keeps nothing of what they say.
//
// https://redis.io/docs/latest/develop/reference/protocol-spec/
type framing struct {
	part part
	kind byte // of the line that is being read

	length   int  // of the line so far
	ending   bool // its last byte was \r
	number   int  // of a header, as far as it was read
	negative bool
	left     int // of a string, with its end

	open     [deepest]int // how many elements each array around us still lacks
	depth    int
	elements int // of this reply
	text     int
}

// part says what the next byte belongs to.
type part uint8

const (
	atType part = iota
	inLine
	inHeader
	inText
)

// follow reads the next piece of the stream. It returns how many bytes of it
// are well, and what is wrong with the one after them; "" if all are. The byte
// that is wrong is the same one in whatever pieces a stream comes, and always
// before that which would make a reader act on it.
func (f *framing) follow(piece []byte) (well int, wrong string) {
	for well < len(piece) && wrong == "" {
		var n int
		switch rest := piece[well:]; f.part {
		case atType:
			n, wrong = f.begin(rest[0])
		case inLine:
			n, wrong = f.line(rest)
		case inHeader:
			n, wrong = f.header(rest[0])
		case inText:
			n, wrong = f.string(rest)
		}
		well += n
	}
	return well, wrong
}

const wrongForm = "it does not speak the protocol of Redis"

func (f *framing) begin(kind byte) (int, string) {
	switch kind {
	case '+', '-', ':', '_', ',', '#', '(':
		f.part = inLine
	case '$', '=', '!', '*', '~', '>', '%', '|':
		f.part = inHeader
	default:
		return 0, wrongForm
	}
	f.kind, f.length, f.ending, f.number, f.negative = kind, 1, false, 0, false
	return 1, ""
}

// line reads on to the end of a line without a length.
func (f *framing) line(rest []byte) (int, string) {
	n, ends := bytes.IndexByte(rest, '\n'), true
	if n < 0 {
		n, ends = len(rest), false
	}
	if room := longestLine - f.length; n > room || ends && n == room {
		return room, fmt.Sprintf("it sends a line of more than %d KiB", longestLine>>10)
	}
	f.length += n
	if n > 0 {
		f.ending = rest[n-1] == '\r'
	}
	if !ends {
		return n, ""
	}
	if !f.ending {
		return n, wrongForm
	}
	if f.text += f.length; f.text > mostText {
		return n, tooMuchText
	}
	f.complete()
	return n + 1, ""
}

// header reads a byte of a line with a length. A length is a number of up to
// nine digits, or -1 for nothing. Streamed strings and arrays, whose length is
// a question mark, are in no Redis.
func (f *framing) header(b byte) (int, string) {
	const kind, digits = 1, 9
	switch {
	case b >= '0' && b <= '9' && !f.ending:
		if f.length >= kind+digits {
			return 0, f.tooMuch()
		}
		f.number = 10*f.number + int(b-'0')
	case b == '-' && f.length == kind:
		f.negative = true
	case b == '\r' && f.length > kind && !f.ending:
		f.ending = true
		return 1, ""
	case b == '\n' && f.ending:
		wrong := f.announced()
		if wrong != "" {
			return 0, wrong
		}
		return 1, ""
	default:
		return 0, wrongForm
	}
	f.length++
	return 1, ""
}

// tooMuch says that a header has a number above the bound.
func (f *framing) tooMuch() string {
	switch f.kind {
	case '$', '=', '!':
		return fmt.Sprintf("it announces a string of more than %d KiB", longestText>>10)
	default:
		return fmt.Sprintf("it announces a reply of more than %d elements", mostElements)
	}
}

var tooMuchText = fmt.Sprintf("it sends a reply of more than %d MiB", mostText>>20)

// announced judges a header whose end has come.
func (f *framing) announced() (wrong string) {
	if f.negative {
		// An attribute that is nothing would be a way to nest without an end:
		// what follows it is still to come.
		if f.number != 1 || f.length != len("$-1") || f.kind == '|' {
			return wrongForm
		}
		f.complete()
		return ""
	}
	switch f.kind {
	case '$', '=', '!':
		if f.number > longestText {
			return f.tooMuch()
		}
		if f.text += f.number; f.text > mostText {
			return tooMuchText
		}
		f.left, f.part = f.number+len("\r\n"), inText
		return ""
	}
	elements := f.number
	if f.kind == '%' || f.kind == '|' {
		elements *= 2 // each has a key and a value
	}
	if f.kind == '|' {
		elements++ // that which it is an attribute of
	}
	if f.elements += elements; f.elements > mostElements {
		return f.tooMuch()
	}
	if elements == 0 {
		f.complete()
		return ""
	}
	if f.depth == deepest {
		return fmt.Sprintf("it sends a reply of more than %d levels", deepest)
	}
	f.open[f.depth] = elements
	f.depth++
	f.part = atType
	return ""
}

// string reads on to the end of a string with a length.
func (f *framing) string(rest []byte) (int, string) {
	if body := f.left - len("\r\n"); body > 0 {
		n := min(body, len(rest))
		f.left -= n
		return n, ""
	}
	if rest[0] != "\r\n"[len("\r\n")-f.left] {
		return 0, wrongForm
	}
	if f.left--; f.left == 0 {
		f.complete()
	}
	return 1, ""
}

// complete notes the end of a value, and of everything that ends with it.
func (f *framing) complete() {
	f.part = atType
	for f.depth > 0 {
		if f.open[f.depth-1]--; f.open[f.depth-1] > 0 {
			return
		}
		f.depth--
	}
	f.elements, f.text = 0, 0
}
