package wechattest

import "net/http/httptest"

// Server is a Fake that listens on a loopback address, at URL.
type Server struct {
	*Fake
	*httptest.Server
}

// NewServer starts a fake. The caller closes it.
func NewServer(cfg Config) *Server {
	fake := New(cfg)
	return &Server{Fake: fake, Server: httptest.NewServer(fake)}
}

// Close lets go of what faults hold, and stops the server.
func (s *Server) Close() {
	s.Fake.Close()
	s.Server.Close()
}
