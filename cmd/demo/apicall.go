package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// sendMessage is the API call that all replicas make, again and again: a
// customer-service message. The token is in the query of u, or added by
// client. An answer that is no success is an *apiError.
func sendMessage(ctx context.Context, client *http.Client, u string) error {
	const message = `{"touser":"demo","msgtype":"text","text":{"content":"hello"}}`
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, u, strings.NewReader(message))
	if err != nil {
		return errors.New("the demo made a bad request")
	}
	request.Header.Set("Content-Type", "application/json")
	var answer struct {
		ErrCode int `json:"errcode"`
	}
	if err := exchange(client, request, &answer); err != nil {
		return err
	}
	if answer.ErrCode != 0 {
		return &apiError{answer.ErrCode}
	}
	return nil
}

// apiError is an answer of the API that is no success.
type apiError struct{ code int }

func (e *apiError) Error() string { return fmt.Sprintf("the API answered errcode %d", e.code) }

const messagePath = "/cgi-bin/message/custom/send"

// exchange sends request and reads the JSON of the answer into v.
func exchange(client *http.Client, request *http.Request, v any) error {
	response, err := client.Do(request)
	if err != nil {
		var quoting *url.Error // quotes the URL, which holds a token or a secret
		if errors.As(err, &quoting) {
			err = quoting.Err
		}
		return fmt.Errorf("no answer from the API: %w", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil {
		return fmt.Errorf("half an answer from the API: %w", err)
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("the API answered HTTP %d without JSON", response.StatusCode)
	}
	return nil
}
