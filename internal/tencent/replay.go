package tencent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// ReplayLimit is how much of a body is read into memory to be sent again.
const ReplayLimit = 1 << 20

var errNoReplay = errors.New("the body cannot be sent again")

// replayable returns a copy of request whose body can be sent twice, unless
// that would take more than ReplayLimit of memory. It closes the body if it
// fails.
func replayable(request *http.Request) (*http.Request, error) {
	outgoing := request.Clone(request.Context())
	if !hasBody(request) || request.GetBody != nil || request.ContentLength > ReplayLimit {
		return outgoing, nil
	}
	start, whole, err := readStart(request)
	if err != nil {
		request.Body.Close()
		return nil, fmt.Errorf("reading the body of the call: %w", err)
	}
	if !whole {
		outgoing.Body = joined{io.MultiReader(bytes.NewReader(start), request.Body), request.Body}
		return outgoing, nil
	}
	request.Body.Close()
	outgoing.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(start)), nil }
	outgoing.Body, _ = outgoing.GetBody()
	if request.ContentLength <= 0 { // not known; a known one is for net/http to check
		outgoing.ContentLength = int64(len(start))
		outgoing.TransferEncoding = nil
	}
	if len(start) == 0 && outgoing.ContentLength == 0 {
		// A zero length beside a body means "unknown" to net/http.
		outgoing.Body, outgoing.GetBody = http.NoBody, nil
	}
	return outgoing, nil
}

// repeat returns outgoing with its body from the start.
func repeat(outgoing *http.Request) (*http.Request, error) {
	again := outgoing.Clone(outgoing.Context())
	if !hasBody(outgoing) {
		return again, nil
	}
	if outgoing.GetBody == nil {
		return nil, errNoReplay
	}
	body, err := outgoing.GetBody()
	again.Body = body
	return again, err
}

// readStart reads up to ReplayLimit of the body, and tells whether that was
// all. The end of the request's context closes the body, so that a read that
// waits for more comes back.
func readStart(request *http.Request) (start []byte, whole bool, err error) {
	ctx := request.Context()
	stop := context.AfterFunc(ctx, func() { request.Body.Close() })
	defer stop()
	start, err = io.ReadAll(io.LimitReader(request.Body, ReplayLimit+1))
	if ctx.Err() != nil {
		return nil, false, context.Cause(ctx)
	}
	return start, len(start) <= ReplayLimit, err
}

func hasBody(request *http.Request) bool {
	return request.Body != nil && request.Body != http.NoBody
}

func closeBody(request *http.Request) {
	if request.Body != nil {
		request.Body.Close()
	}
}

// joined reads from one and closes another.
type joined struct {
	io.Reader
	io.Closer
}
