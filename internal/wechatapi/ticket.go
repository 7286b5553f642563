package wechatapi

import "net/http"

// ticketTypes are the types of tickets that WeChat gives out.
var ticketTypes = map[string]bool{"jsapi": true, "wx_card": true}

// ticket answers /cgi-bin/ticket/getticket.
func (h *Handler) ticket(w http.ResponseWriter, r *http.Request) *refusal {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return refuse(needsGET)
	}
	query := r.URL.Query()
	value, kind := query.Get("access_token"), query.Get("type")
	if value == "" {
		return refuse(noToken)
	}
	appID, ok := h.index.owner(h, value)
	if !ok {
		return refuse(invalidToken)
	}
	if !ticketTypes[kind] {
		return refuse(badType)
	}
	name := h.Tickets[appID][kind]
	credential := h.credential(name)
	if credential == nil {
		return unauthorized.because("no %s ticket of this account is kept: add one to tokens in the config of mintonce, as NAME: {ticket: {of: TOKEN, type: %s}}", kind, kind)
	}
	r.SetPathValue("name", name)
	ticket, err := h.current(r.Context(), credential)
	if err != nil {
		return failed(err)
	}
	write(w, struct {
		ErrCode   int    `json:"errcode"`
		ErrMsg    string `json:"errmsg"`
		Ticket    string `json:"ticket"`
		ExpiresIn int64  `json:"expires_in"`
	}{0, "ok", ticket.Value, seconds(lifeOf(credential, ticket, spreadOf("", r.RemoteAddr)))})
	return nil
}
