# syntax=docker/dockerfile:1
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags=-s -o /out/ ./cmd/mintonce ./cmd/example

# A shell-less image with CA certificates and an unprivileged user.
FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /out/mintonce /out/example /usr/local/bin/
ENTRYPOINT ["/usr/local/bin/mintonce"]
CMD ["--help"]
