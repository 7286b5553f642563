package tencent

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"

	"github.com/mintonce/mintonce/coordinator"
)

// PeekLimit is how much of an answer is looked at. Answers with an error code
// have some hundred bytes; anything longer is no error.
const PeekLimit = 64 << 10

// rejectionIn returns the rejection of the token that an answer holds, or nil.
// The answer can be read from its beginning afterwards.
//
// The APIs answer errors with status 200, and with any content type, images
// included, so only the body tells. A body that does not start with a brace is
// not looked at further, so that downloads stream as they would without us.
func rejectionIn(response *http.Response, isRejected func(int) bool) *coordinator.RejectedError {
	if response.StatusCode == http.StatusSwitchingProtocols || response.Body == nil || response.Body == http.NoBody || response.ContentLength > PeekLimit {
		return nil
	}
	body := response.Body
	start, err := firstByte(body)
	whole := false
	if err == nil && start[len(start)-1] == '{' {
		start, err = readMore(start, body)
		whole = err == nil && len(start) <= PeekLimit
	}
	response.Body = joined{io.MultiReader(bytes.NewReader(start), after(body, err)), body}
	if !whole {
		return nil
	}
	var answer struct {
		ErrCode int `json:"errcode"`
	}
	if json.Unmarshal(start, &answer) != nil || !isRejected(answer.ErrCode) {
		return nil
	}
	return &coordinator.RejectedError{Code: answer.ErrCode}
}

// firstByte reads up to the first byte that is not white space, among the first
// few.
func firstByte(body io.Reader) (start []byte, err error) {
	start = make([]byte, 0, 512)
	for len(start) < 16 {
		n, err := io.ReadFull(body, start[len(start):len(start)+1])
		start = start[:len(start)+n]
		if err != nil {
			return start, err
		}
		switch start[len(start)-1] {
		case ' ', '\t', '\r', '\n':
		default:
			return start, nil
		}
	}
	return start, nil
}

func readMore(start []byte, body io.Reader) ([]byte, error) {
	buffer := bytes.NewBuffer(start)
	_, err := io.Copy(buffer, io.LimitReader(body, int64(PeekLimit+1-len(start))))
	return buffer.Bytes(), err
}

// after returns what follows the bytes that were read: the rest of the body, or
// the error that ended it.
func after(body io.Reader, err error) io.Reader {
	if err == nil {
		return body
	}
	return failing{err}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
