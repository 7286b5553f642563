package redisstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/mintonce/mintonce/redisstore"
)

// pieces is a connection on which a stream arrives in the pieces that are
// given; what they do not say comes in one.
type pieces struct {
	net.Conn // nil: only what is needed is there
	stream   []byte
	sizes    []int
	closed   bool
}

func (p *pieces) Close() error {
	p.closed = true
	return nil
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.stream) == 0 {
		return 0, io.EOF
	}
	size := len(p.stream)
	if len(p.sizes) > 0 {
		size, p.sizes = min(size, p.sizes[0]), p.sizes[1:]
	}
	n := copy(b, p.stream[:size])
	p.stream = p.stream[n:]
	return n, nil
}

// bounded returns conn as the clients of Open have it.
func bounded(t testing.TB, conn net.Conn) net.Conn {
	t.Helper()
	dial := redisstore.BoundReplies(func(context.Context, string, string) (net.Conn, error) { return conn, nil })
	conn, err := dial(t.Context(), "tcp", "127.0.0.1:6379")
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// arrives reads a stream, in pieces, to its end or to the error.
func arrives(t testing.TB, stream []byte, sizes ...int) (well []byte, err error) {
	t.Helper()
	return io.ReadAll(bounded(t, &pieces{stream: bytes.Clone(stream), sizes: sizes}))
}

// accepts is the stream's replies read by the book: one function that calls
// itself for what is nested. It returns how many bytes are well; fewer than all
// if the next one is wrong.
func accepts(stream []byte) (well int) {
	p := &byTheBook{rest: stream}
	defer func() {
		if fault := recover(); fault != nil && fault != errEnds {
			if fault != errWrong {
				panic(fault)
			}
		}
		well = len(stream) - len(p.rest)
	}()
	for {
		p.elements, p.text = 0, 0
		p.value(1)
	}
}

var errEnds, errWrong = errors.New("the stream ends"), errors.New("the next byte is wrong")

type byTheBook struct {
	rest           []byte
	elements, text int
}

// next takes a byte that is one of those.
func (p *byTheBook) next(fits func(byte) bool) byte {
	if len(p.rest) == 0 {
		panic(errEnds)
	}
	b := p.rest[0]
	if !fits(b) {
		panic(errWrong)
	}
	p.rest = p.rest[1:]
	return b
}

func (p *byTheBook) literally(text string) {
	for _, want := range []byte(text) {
		p.next(func(b byte) bool { return b == want })
	}
}

func (p *byTheBook) value(level int) {
	kind := p.next(func(b byte) bool { return strings.IndexByte("+-:_,#($=!*~>%|", b) >= 0 })
	if strings.IndexByte("+-:_,#(", kind) >= 0 {
		before, length := kind, 1
		for before != '\n' {
			before = p.next(func(b byte) bool {
				length++
				return length <= 16384 && (b != '\n' || before == '\r' && p.text+length <= 64<<20)
			})
		}
		p.text += length
		return
	}
	digits := ""
	limit := func(b byte) bool {
		switch {
		case b == '-':
			return digits == ""
		case b == '\r':
			return digits != ""
		default:
			return b >= '0' && b <= '9' && len(digits) < 9
		}
	}
	for {
		b := p.next(limit)
		if b == '\r' {
			break
		}
		digits += string(b)
	}
	n, err := strconv.Atoi(digits)
	elements := n
	switch kind {
	case '%':
		elements = 2 * n
	case '|':
		elements = 2*n + 1
	}
	text := strings.IndexByte("$=!", kind) >= 0
	p.next(func(b byte) bool {
		switch {
		case b != '\n' || err != nil || digits[0] == '-' && digits != "-1":
			return false
		case n < 0:
			return kind != '|'
		case text:
			return n <= 1<<20 && p.text+n <= 64<<20
		default:
			return p.elements+elements <= 131072 && (elements == 0 || level <= 16)
		}
	})
	switch {
	case n < 0:
	case text:
		p.text += n
		arrived := min(n, len(p.rest))
		p.rest = p.rest[arrived:]
		if arrived < n {
			panic(errEnds)
		}
		p.literally("\r\n")
	default:
		p.elements += elements
		for range elements {
			p.value(level + 1)
		}
	}
}

// replies are streams that are well, of every type, and several in a row.
var replies = []string{
	"+OK\r\n",
	"+\r\n",
	"-ERR no\r\n",
	":-12\r\n",
	"_\r\n#t\r\n,1.5\r\n(123456789012345678901234567890\r\n",
	"$-1\r\n*-1\r\n%-1\r\n",
	"$0\r\n\r\n",
	"$7\r\n*9\r\n$8\r\r\n",
	"=7\r\ntxt:a\r\n\r\n!5\r\nERR x\r\n",
	"*0\r\n~0\r\n>0\r\n%0\r\n",
	"*2\r\n$10\r\n1773489600\r\n$1\r\n5\r\n*2\r\n$5\r\nvalue\r\n$6\r\nsecret\r\n",
	"%2\r\n+a\r\n*2\r\n:1\r\n*0\r\n+b\r\n%1\r\n_\r\n$-1\r\n+OK\r\n",
	"|1\r\n+ttl\r\n:9\r\n*1\r\n|0\r\n+x\r\n:1\r\n",
	">3\r\n+message\r\n$1\r\na\r\n$1\r\nb\r\n:1\r\n",
	"+a\rb\r\r\n:1\r\n",
}

// TestFramingInPieces: replies pass as they are, cut in two and in three at
// every place, and byte by byte.
func TestFramingInPieces(t *testing.T) {
	t.Parallel()
	for _, stream := range replies {
		for i := range len(stream) {
			for j := range len(stream) - i {
				well, err := arrives(t, []byte(stream), i+1, j+1)
				if err != nil || string(well) != stream {
					t.Fatalf("%q in pieces of %d and %d: %q, %v", stream, i+1, j+1, well, err)
				}
			}
		}
		ones := bytes.Repeat([]byte{1}, len(stream))
		sizes := make([]int, len(ones))
		for i := range ones {
			sizes[i] = 1
		}
		if well, err := arrives(t, []byte(stream), sizes...); err != nil || string(well) != stream {
			t.Errorf("%q byte by byte: %q, %v", stream, well, err)
		}
		if n := accepts([]byte(stream)); n != len(stream) {
			t.Errorf("%q by the book: only %d bytes are well", stream, n)
		}
	}
}

// TestFramingBounds: at the bound a reply passes, one above it does not, and
// what would make a reader act on it is held back.
func TestFramingBounds(t *testing.T) {
	t.Parallel()
	const (
		text, line, elements, all, levels = 1 << 20, 16 << 10, 1 << 17, 64 << 20, 16
	)
	// texts is an array of strings that have n bytes together.
	texts := func(n int) string {
		var b strings.Builder
		fmt.Fprintf(&b, "*%d\r\n", (n+text-1)/text)
		for ; n > 0; n -= text {
			size := min(n, text)
			fmt.Fprintf(&b, "$%d\r\n%s\r\n", size, strings.Repeat("x", size))
		}
		return b.String()
	}
	// lines is an array of lines that have n bytes together, a multiple of line.
	lines := func(n int) string {
		one := "+" + strings.Repeat("x", line-3) + "\r\n"
		return fmt.Sprintf("*%d\r\n", n/line) + strings.Repeat(one, n/line)
	}
	tests := []struct {
		name, stream string
		held         int // how many bytes at the end are held back; 0 if it is well
		problem      string
	}{
		{"text", fmt.Sprintf("$%d\r\n", text), 0, ""},
		{"text above", fmt.Sprintf("$%d\r\n", text+1), 1, "a string of more than 1024 KiB"},
		{"verbatim text above", fmt.Sprintf("=%d\r\n", text+1), 1, "a string of more than 1024 KiB"},
		{"error text above", fmt.Sprintf("!%d\r\n", text+1), 1, "a string of more than 1024 KiB"},
		{"absurd text", "$77348773489600\r\n", len("89600\r\n"), "a string of more than 1024 KiB"},
		{"absurd text in an array", "*30\r\n:1\r\n$77348773489600\r\n$1\r\n573", len("89600\r\n$1\r\n573"), "a string of more than 1024 KiB"},
		{"most digits", "*999999999\r\n", 1, "more than 131072 elements"},
		{"one digit more", "*9999999990\r\n", 3, "more than 131072 elements"},
		{"array", fmt.Sprintf("*%d\r\n", elements), 0, ""},
		{"array above", fmt.Sprintf("*%d\r\n", elements+1), 1, "more than 131072 elements"},
		{"set above", fmt.Sprintf("~%d\r\n", elements+1), 1, "more than 131072 elements"},
		{"push above", fmt.Sprintf(">%d\r\n", elements+1), 1, "more than 131072 elements"},
		{"map", fmt.Sprintf("%%%d\r\n", elements/2), 0, ""},
		{"map above", fmt.Sprintf("%%%d\r\n", elements/2+1), 1, "more than 131072 elements"},
		{"attribute", fmt.Sprintf("|%d\r\n", elements/2-1), 0, ""},
		{"attribute above", fmt.Sprintf("|%d\r\n", elements/2), 1, "more than 131072 elements"},
		{"arrays in an array", fmt.Sprintf("*2\r\n*%d\r\n", elements-2), 0, ""},
		{"arrays in an array above", fmt.Sprintf("*2\r\n*%d\r\n", elements-1), 1, "more than 131072 elements"},
		{"another reply", fmt.Sprintf("*1\r\n:1\r\n*%d\r\n", elements), 0, ""},
		{"levels", strings.Repeat("*1\r\n", levels), 0, ""},
		{"levels above", strings.Repeat("*1\r\n", levels+1), 1, "more than 16 levels"},
		{"empty within the deepest", strings.Repeat("*1\r\n", levels) + "*0\r\n", 0, ""},
		{"levels, one after another", strings.Repeat("*1\r\n*0\r\n", 10*levels), 0, ""},
		{"attributes of each other", strings.Repeat("|0\r\n", levels), 0, ""},
		{"attributes of each other above", strings.Repeat("|0\r\n", levels+1), 1, "more than 16 levels"},
		{"line", "+" + strings.Repeat("x", line-3) + "\r\n", 0, ""},
		{"line above", "+" + strings.Repeat("x", line-2) + "\r\n", 1, "a line of more than 16 KiB"},
		{"line without an end", "-" + strings.Repeat("x", 2*line), line + 1, "a line of more than 16 KiB"},
		{"all", texts(all), 0, ""},
		{"all above", texts(all + 1), len("\n" + "x\r\n"), "a reply of more than 64 MiB"},
		{"all in lines", lines(all), 0, ""},
		{"all in lines above", lines(all + line), 1, "a reply of more than 64 MiB"},
		{"another reply of all", texts(all) + texts(all), 0, ""},
		{"below nothing", "$-2\r\n", 1, "does not speak"},
		{"below zero", "*-0\r\n", 1, "does not speak"},
		{"nothing with a zero", "$-01\r\n", 1, "does not speak"},
		{"only a sign", "*-\r\n", 1, "does not speak"},
		{"an attribute that is nothing", "|-1\r\n", 1, "does not speak"},
		{"a plus", "$+1\r\n", 4, "does not speak"},
		{"no length", "$\r\n", 2, "does not speak"},
		{"length without a return", "$1\n", 1, "does not speak"},
		{"two returns", "$1\r\r\n", 2, "does not speak"},
		{"streamed text", "$?\r\n", 3, "does not speak"},
		{"line without a return", "+OK\n", 1, "does not speak"},
		{"text that goes on", "$2\r\nabc\r\n", 3, "does not speak"},
		{"text that ends halfway", "$2\r\nab\rc", 1, "does not speak"},
		{"an empty line", "\r\n", 2, "does not speak"},
		{"web server", "HTTP/1.1 400 Bad Request\r\n\r\nsecret", 34, "does not speak"},
		{"TLS alert", "\x15\x03\x01\x00\x02\x02\x46", 7, "does not speak"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			want := test.stream[:len(test.stream)-test.held]
			cuts := []int{len(test.stream)}
			for cut := max(1, len(want)-20); cut < len(test.stream) && cut < len(want)+20; cut++ {
				if len(test.stream) < text || cut == len(want) {
					cuts = append(cuts, cut)
				}
			}
			for _, cut := range cuts {
				well, err := arrives(t, []byte(test.stream), cut)
				if string(well) != want {
					t.Fatalf("in pieces of %d: %d of %d bytes arrive, want %d (%v)", cut, len(well), len(test.stream), len(want), err)
				}
				if (err != nil) != (test.held > 0) || err != nil && !strings.Contains(err.Error(), test.problem) {
					t.Fatalf("in pieces of %d: %v, want %q", cut, err, test.problem)
				}
			}
			if len(test.stream) > text {
				return // it would take long
			}
			if n := accepts([]byte(test.stream)); n != len(want) {
				t.Errorf("by the book %d bytes are well, want %d", n, len(want))
			}
		})
	}
}

// TestFaultStays: a fault ends the connection, and what is done with it later
// says why.
func TestFaultStays(t *testing.T) {
	t.Parallel()
	below := &pieces{stream: []byte("+OK\r\n?+OK\r\n"), sizes: []int{6}}
	conn := bounded(t, below)
	buffer := make([]byte, 100)
	n, first := conn.Read(buffer)
	if string(buffer[:n]) != "+OK\r\n" || first == nil {
		t.Errorf("the first read: %q, %v", buffer[:n], first)
	}
	if n, err := conn.Read(buffer); n != 0 || err != first || len(below.stream) != 5 {
		t.Errorf("the second read: %d bytes, %v; %q is left", n, err, below.stream)
	}
	if n, err := conn.Write(buffer); n != 0 || err != first {
		t.Errorf("a write: %d bytes, %v", n, err)
	}
	if !below.closed {
		t.Error("the connection is open")
	}
}

// FuzzFraming: in whatever pieces a stream comes, exactly that passes which is
// a reply by the book.
func FuzzFraming(f *testing.F) {
	for _, stream := range replies {
		f.Add([]byte(stream), []byte{3, 1})
	}
	f.Add([]byte("*30\r\n:1\r\n$77348773489600\r\n$1\r\n573"), []byte{12, 1})
	f.Add([]byte(strings.Repeat("*1\r\n", 17)), []byte{66})
	f.Add([]byte(strings.Repeat("|0\r\n", 17)), []byte{})
	f.Add([]byte("*2\r\n*131071\r\n"), []byte{1, 2, 3})
	f.Add([]byte("%65537\r\n"), []byte{7})
	f.Fuzz(func(t *testing.T, stream, cuts []byte) {
		sizes := make([]int, len(cuts))
		for i, cut := range cuts {
			sizes[i] = 1 + int(cut)
		}
		well, err := arrives(t, stream, sizes...)
		want := accepts(stream)
		if !bytes.Equal(well, stream[:want]) || (err != nil) != (want < len(stream)) {
			t.Errorf("%d bytes pass (%v), by the book it is %d of %d", len(well), err, want, len(stream))
		}
	})
}
