package tencent

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
	// longestToken: WeChat and WeCom ask to reserve 512 characters; tokens of
	// related providers reach 4 KiB.
	longestToken = 4 << 10
	// longestLife is far above their 7200 seconds. A larger expires_in is a
	// mistake, such as a point in time or milliseconds.
	longestLife = 30 * 24 * time.Hour
)

// Parse reads the answer to a mint. These APIs answer errors with status 200
// and any content type, so only the body counts, unless the status says that
// somebody else has answered. secret is kept out of the failure's text.
func (s *Service) Parse(status int, body []byte, secret string) (value string, lifetime time.Duration, failure *coordinator.SourceError) {
	switch {
	case len(body) > ReplyLimit:
		return "", 0, s.unusable(fmt.Sprintf("the reply has more than %d bytes", ReplyLimit))
	case status >= 500:
		return "", 0, s.unusable(fmt.Sprintf("the reply is HTTP %d", status))
	case status >= 300 && status < 400:
		return "", 0, s.unusable(fmt.Sprintf("the reply is a redirect (HTTP %d), which is not followed", status))
	case len(bytes.TrimSpace(body)) == 0:
		return "", 0, s.unusable(fmt.Sprintf("the reply is empty (HTTP %d)", status))
	}
	var fields map[string]json.RawMessage
	if body[0] != '{' || json.Unmarshal(body, &fields) != nil {
		return "", 0, s.unusable(fmt.Sprintf("the reply is not a JSON object (HTTP %d)", status))
	}
	_ = json.Unmarshal(fields[s.Field], &value) // one of another type is none
	code, err := parseCode(fields["errcode"])
	switch {
	case err != nil:
		return "", 0, s.unusable(err.Error())
	case code != 0 && value != "":
		return "", 0, s.unusable("the reply has both " + s.Field + " and an errcode")
	case code != 0:
		var message string
		_ = json.Unmarshal(fields["errmsg"], &message) // an errmsg of another type is no message
		return "", 0, s.refused(code, message, secret)
	case status != http.StatusOK:
		return "", 0, s.unusable(fmt.Sprintf("the reply is HTTP %d without an errcode", status))
	}
	return s.parseValue(value, fields["expires_in"])
}

// parseCode returns 0 for no errcode, as the APIs mean it.
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

func (s *Service) parseValue(value string, rawLife json.RawMessage) (string, time.Duration, *coordinator.SourceError) {
	if value == "" {
		return "", 0, s.unusable("the reply has no " + s.Field)
	}
	if len(value) > longestToken {
		return "", 0, s.unusable(fmt.Sprintf("%s has more than %d bytes", s.Field, longestToken))
	}
	if strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", 0, s.unusable(s.Field + " has characters that no token has")
	}
	lifetime, err := parseLife(rawLife)
	if err != nil {
		return "", 0, s.unusable(err.Error())
	}
	return value, lifetime, nil
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
func (s *Service) unusable(problem string) *coordinator.SourceError {
	return &coordinator.SourceError{
		Class:   coordinator.Transient,
		Message: s.Name + "'s reply is of no use: " + problem,
		Advice:  "a " + s.What + " may have been minted; if this goes on, look for a proxy or gateway that answers in the place of " + s.Name,
	}
}
