package main

import (
	"context"
	"net/http"

	"nhooyr.io/websocket"
)

type nhooyr struct{ *websocket.Conn }

// The window is kept if the other side agrees.
func mode() websocket.CompressionMode {
	if extensions == "" {
		return websocket.CompressionDisabled
	}
	return websocket.CompressionContextTakeover
}

func wrap(conn *websocket.Conn) peer {
	conn.SetReadLimit(16 << 20)
	return nhooyr{conn}
}

func dial(url string) (peer, http.Header, error) {
	conn, response, err := websocket.Dial(context.Background(), url, &websocket.DialOptions{CompressionMode: mode()})
	if err != nil {
		return nil, nil, err
	}
	return wrap(conn), response.Header, nil
}

func upgrade(w http.ResponseWriter, r *http.Request) (peer, error) {
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{CompressionMode: mode()})
	if err != nil {
		return nil, err
	}
	return wrap(conn), nil
}

func (n nhooyr) send(text bool, fragments ...[]byte) error {
	kind := websocket.MessageBinary
	if text {
		kind = websocket.MessageText
	}
	if len(fragments) == 1 {
		return n.Write(context.Background(), kind, fragments[0])
	}
	// Each write is a separate frame.
	writer, err := n.Writer(context.Background(), kind)
	if err != nil {
		return err
	}
	for _, fragment := range fragments {
		if _, err := writer.Write(fragment); err != nil {
			return err
		}
	}
	return writer.Close()
}

func (n nhooyr) read() (bool, []byte, error) {
	kind, data, err := n.Read(context.Background())
	return kind == websocket.MessageText, data, err
}

func (n nhooyr) closeCode(err error) int { return int(websocket.CloseStatus(err)) }

func (n nhooyr) ping() error { return n.Ping(context.Background()) }

func (n nhooyr) close(code int, reason string) error { return n.Close(websocket.StatusCode(code), reason) }
