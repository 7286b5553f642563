package tencent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/mintonce/mintonce/coordinator"
)

// Probe makes the call at path with an access token, to find out whether the
// provider accepts it. It returns nil if it does; a *coordinator.RejectedError
// if the provider refuses exactly this token; and any other error if that is
// not known. Its errors hold neither the token nor a URL.
func (c *Client) Probe(ctx context.Context, path, token string, isRejected func(errcode int) bool) error {
	u := c.wire.base.JoinPath(path)
	u.RawQuery = url.Values{"access_token": {token}}.Encode()
	request, err := newRequest(ctx, http.MethodGet, u, nil)
	if err != nil {
		return errors.New("no request can be made of Config.API")
	}
	status, body, failure := c.service.exchange(c.wire, request)
	if failure != nil {
		return errors.New(failure.Message) // what else it says is of mints
	}
	// Only an answer of the provider itself tells: an object, with status 200
	// whether there is an error or not.
	var answer struct {
		ErrCode json.RawMessage `json:"errcode"`
	}
	if status != http.StatusOK || len(body) > ReplyLimit || json.Unmarshal(body, &answer) != nil {
		return fmt.Errorf("%s's answer is of no use (HTTP %d)", c.service.Name, status)
	}
	code, err := parseCode(answer.ErrCode)
	switch {
	case err != nil:
		return err
	case code == 0:
		return nil
	case isRejected(code):
		return &coordinator.RejectedError{Code: code}
	}
	return fmt.Errorf("%s answers with errcode %d, which says nothing of the token", c.service.Name, code)
}
