package wechat

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/mintonce/mintonce/coordinator"
)

const (
	// longestToken: WeChat asks to reserve 512 characters; tokens of related
	// providers reach 4 KiB.
	longestToken = 4 << 10
	// longestLife is far above WeChat's 7200 seconds. A larger expires_in is a
	// mistake, such as a point in time or milliseconds.
	longestLife = 30 * 24 * time.Hour
)

// reply is the answer to a mint that worked.
type reply struct {
	token    string
	lifetime time.Duration
}

// parseReply reads the answer to a mint. WeChat answers errors with status 200
// and any content type, so only the body counts, unless the status says that
// somebody else has answered. secret is kept out of the failure's text.
func parseReply(status int, body []byte, secret string) (reply, *coordinator.SourceError) {
	switch {
	case len(body) > replyLimit:
		return reply{}, unusable(fmt.Sprintf("the reply has more than %d bytes", replyLimit))
	case status >= 500:
		return reply{}, unusable(fmt.Sprintf("the reply is HTTP %d", status))
	case status >= 300 && status < 400:
		return reply{}, unusable(fmt.Sprintf("the reply is a redirect (HTTP %d), which is not followed", status))
	case len(bytes.TrimSpace(body)) == 0:
		return reply{}, unusable(fmt.Sprintf("the reply is empty (HTTP %d)", status))
	}
	var fields struct {
		AccessToken json.RawMessage `json:"access_token"`
		ExpiresIn   json.RawMessage `json:"expires_in"`
		ErrCode     json.RawMessage `json:"errcode"`
		ErrMsg      json.RawMessage `json:"errmsg"`
	}
	if body[0] != '{' || json.Unmarshal(body, &fields) != nil {
		return reply{}, unusable(fmt.Sprintf("the reply is not a JSON object (HTTP %d)", status))
	}
	var token string
	_ = json.Unmarshal(fields.AccessToken, &token) // an access_token of another type is none
	code, err := parseCode(fields.ErrCode)
	switch {
	case err != nil:
		return reply{}, unusable(err.Error())
	case code != 0 && token != "":
		return reply{}, unusable("the reply has both an access_token and an errcode")
	case code != 0:
		var message string
		_ = json.Unmarshal(fields.ErrMsg, &message) // an errmsg of another type is no message
		return reply{}, refused(code, message, secret)
	case status != http.StatusOK:
		return reply{}, unusable(fmt.Sprintf("the reply is HTTP %d without an errcode", status))
	}
	return parseToken(token, fields.ExpiresIn)
}

// parseCode returns 0 for no errcode, as WeChat means it.
func parseCode(raw json.RawMessage) (int, error) {
	if raw == nil {
		return 0, nil
	}
	code, err := strconv.ParseInt(string(raw), 10, 32)
	if err != nil {
		return 0, fmt.Errorf("errcode is not a whole number")
	}
	return int(code), nil
}

func parseToken(token string, rawLife json.RawMessage) (reply, *coordinator.SourceError) {
	if token == "" {
		return reply{}, unusable("the reply has no access_token")
	}
	if len(token) > longestToken {
		return reply{}, unusable(fmt.Sprintf("access_token has more than %d bytes", longestToken))
	}
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return reply{}, unusable("access_token has characters that no token has")
	}
	lifetime, err := parseLife(rawLife)
	if err != nil {
		return reply{}, unusable(err.Error())
	}
	return reply{token: token, lifetime: lifetime}, nil
}

// parseLife does not guess: a token whose end is unknown would be served dead,
// or be minted again and again.
func parseLife(raw json.RawMessage) (time.Duration, error) {
	if raw == nil {
		return 0, fmt.Errorf("expires_in is missing")
	}
	seconds, err := strconv.ParseInt(string(raw), 10, 64)
	switch {
	case err != nil:
		return 0, fmt.Errorf("expires_in is not a whole number of seconds")
	case seconds <= 0:
		return 0, fmt.Errorf("expires_in is %d, so that the token has no life", seconds)
	case seconds > int64(longestLife/time.Second):
		return 0, fmt.Errorf("expires_in is more than %d days", int(longestLife/(24*time.Hour)))
	}
	return time.Duration(seconds) * time.Second, nil
}

// unusable is a reply that does not tell whether a token was minted. A token
// in it is thrown away; the next mint settles which one is valid.
func unusable(problem string) *coordinator.SourceError {
	return &coordinator.SourceError{
		Class:   coordinator.Transient,
		Message: "WeChat's reply is of no use: " + problem,
		Advice:  "a token may have been minted; if this goes on, look for a proxy or gateway that answers in WeChat's place",
	}
}
