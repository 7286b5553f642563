package wechatapi

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/config"
)

// asking is a request for a token.
type asking struct {
	GrantType    string `json:"grant_type"`
	AppID        string `json:"appid"`
	Secret       string `json:"secret"`
	ForceRefresh bool   `json:"force_refresh"`

	classic bool // prefers the token of /cgi-bin/token
}

// readAsking reads the body of a request. WeChat minds neither its content type
// nor fields that it does not know, and SDKs rely on both.
func readAsking(r *http.Request) (asking, *refusal) {
	var ask asking
	decoder := json.NewDecoder(r.Body)
	err := decoder.Decode(&ask)
	if err == nil {
		if _, err = decoder.Token(); errors.Is(err, io.EOF) {
			return ask, nil
		}
		err = errors.New("something follows the object")
	}
	var large *http.MaxBytesError
	switch {
	case errors.Is(err, io.EOF):
		return asking{}, refuse(emptyBody)
	case errors.As(err, &large):
		return asking{}, badBody.because("at most %d bytes are read", large.Limit)
	}
	return asking{}, badBody.because(`send one JSON object: {"grant_type":"client_credential","appid":"..","secret":".."}`)
}

// token answers a request for a token.
func (h *Handler) token(w http.ResponseWriter, r *http.Request, ask asking) *refusal {
	switch {
	case ask.GrantType != "client_credential":
		return refuse(badGrant)
	case ask.AppID == "":
		return refuse(noAppID)
	}
	client, denial := h.Identify(r, ask.Secret)
	if denial != nil {
		return denied(denial)
	}
	name := h.account(ask, client)
	credential := h.credential(name)
	if credential == nil {
		return refuse(invalidAppID)
	}
	r.SetPathValue("name", name)
	token, err := h.current(r.Context(), credential)
	if err != nil {
		return failed(err)
	}
	who := holder{client: nameOf(client), token: name}
	urgency := h.Memory.urgencyOf(who, token)
	urgency.forced = ask.ForceRefresh || h.Rejected(name, token) != nil
	if urgency.early || urgency.forced {
		token = h.tried(r.Context(), who, credential, token, urgency)
	}
	if err := h.Rejected(name, token); err != nil {
		return failed(err)
	}
	life := lifeOf(credential, token, spreadOf(who.client, r.RemoteAddr))
	h.Memory.note(who, token, life)
	write(w, struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   int64  `json:"expires_in"`
	}{token.Value, seconds(life + marginOf(client))})
	return nil
}

// current is the credential's token, which is waited for if there is none yet.
func (h *Handler) current(ctx context.Context, credential Credential) (coordinator.Token, error) {
	if _, err := credential.Peek(); err != nil { // a timer is dearer than a look
		limited, cancel := context.WithTimeout(ctx, h.Wait)
		defer cancel()
		ctx = limited
	}
	return credential.Token(ctx)
}

// account returns the name of the token that the client means by an AppID, or
// nothing. A client learns nothing of tokens that it may not read.
func (h *Handler) account(ask asking, client *config.Client) string {
	second := ""
	for _, a := range h.Accounts[ask.AppID] {
		if client != nil && !(client.MayUse(a.Name) && client.Has(config.MayRead)) {
			continue
		}
		if a.Classic == ask.classic {
			return a.Name
		}
		if second == "" {
			second = a.Name
		}
	}
	return second
}

func (h *Handler) credential(name string) Credential {
	if name == "" {
		return nil
	}
	return h.Credential(name)
}

// tried is the token to answer with after the current one was tried at the
// provider, as far as that is done in time.
func (h *Handler) tried(ctx context.Context, who holder, credential Credential, token coordinator.Token, u urgency) coordinator.Token {
	if h.Probe == nil {
		return token
	}
	done := h.Memory.try(who.token, u, func(ctx context.Context) {
		h.probe(coordinator.WithActor(ctx, who.actor()), who.token, credential, token)
	})
	if done == nil {
		return token
	}
	over := wait(ctx, done, h.Patience)
	if !over && h.Rejected(who.token, token) != nil {
		wait(ctx, done, h.Wait-h.Patience) // the successor is worth more patience than an opinion
	}
	if next, err := credential.Peek(); err == nil {
		return next
	}
	return token
}

// wait reports whether done was closed within that time.
func wait(ctx context.Context, done <-chan struct{}, most time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	select {
	case <-done:
		return true
	case <-ctx.Done():
		return false
	}
}

func nameOf(client *config.Client) string {
	if client == nil {
		return ""
	}
	return client.Name
}
