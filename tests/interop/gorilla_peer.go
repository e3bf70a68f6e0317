package main

import (
	"fmt"
	"net/http"
	"time"

	"github.com/gorilla/websocket"
)

const payload = "are you there?"

// A message of several writes that is larger than this is sent in fragments.
const writeBuffer = 16

type gorilla struct {
	*websocket.Conn
	pongs chan string
}

func wrap(conn *websocket.Conn) peer {
	g := gorilla{conn, make(chan string, 1)}
	conn.SetPongHandler(func(payload string) error {
		g.pongs <- payload
		return nil
	})
	return g
}

func dial(url string) (peer, http.Header, error) {
	dialer := websocket.Dialer{EnableCompression: extensions != "", WriteBufferSize: writeBuffer}
	conn, response, err := dialer.Dial(url, nil)
	if err != nil {
		return nil, nil, err
	}
	return wrap(conn), response.Header, nil
}

func upgrade(w http.ResponseWriter, r *http.Request) (peer, error) {
	upgrader := websocket.Upgrader{EnableCompression: extensions != "", WriteBufferSize: writeBuffer}
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return nil, err
	}
	return wrap(conn), nil
}

func (g gorilla) send(text bool, fragments ...[]byte) error {
	kind := websocket.BinaryMessage
	if text {
		kind = websocket.TextMessage
	}
	if len(fragments) == 1 {
		return g.WriteMessage(kind, fragments[0])
	}
	writer, err := g.NextWriter(kind)
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

func (g gorilla) read() (bool, []byte, error) {
	kind, data, err := g.ReadMessage()
	return kind == websocket.TextMessage, data, err
}

func (g gorilla) closeCode(err error) int {
	if closed, ok := err.(*websocket.CloseError); ok {
		return closed.Code
	}
	return websocket.CloseAbnormalClosure
}

func (g gorilla) ping() error {
	if err := g.WriteControl(websocket.PingMessage, []byte(payload), time.Now().Add(time.Minute)); err != nil {
		return err
	}
	if pong := <-g.pongs; pong != payload {
		return fmt.Errorf("a pong with %q", pong)
	}
	return nil
}

func (g gorilla) close(code int, reason string) error {
	frame := websocket.FormatCloseMessage(code, reason)
	return g.WriteControl(websocket.CloseMessage, frame, time.Now().Add(time.Minute))
}
