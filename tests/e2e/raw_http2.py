# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 frame by frame, for what no well-behaved client would send."""
import socket
import struct

import hpack

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM = ACK = 1
END_HEADERS = 4
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
UNAVAILABLE = 14


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def message(body, flag=0, length=None):
    """As gRPC frames it; length: what the prefix claims."""
    return struct.pack(">BI", flag, len(body) if length is None else length) + body


def head(path, more=(), encoder=None, **replaced):
    """A header block, by default of a connection's first call. replaced: other values, p_ for
    a colon, None to leave one out."""
    fields = {":method": "POST", ":scheme": "http", ":path": path, ":authority": "x",
              "content-type": "application/grpc", "te": "trailers"}
    for name, value in replaced.items():
        fields[(":" + name[2:] if name.startswith("p_") else name).replace("_", "-")] = value
    present = [(k, v) for k, v in fields.items() if v is not None]
    return (encoder or hpack.Encoder()).encode(present + list(more))


class Connection:
    """ack: acknowledge the server's settings and answer its pings, as one should; sock: a
    connection that is there already, in place of one to port."""

    def __init__(self, port=None, ack=True, settings=b"", timeout=20, sock=None):
        self.sock = sock or socket.create_connection(("127.0.0.1", port), timeout)
        self.ack, self.data, self.frames, self.closed = ack, b"", [], False
        self.fields, self.over = {}, set()  # of each stream: headers and trailers; those that ended
        self.first_window, self.opened, self.sent = 65535, {}, {}  # of each stream, 0: of all
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        self.send(PREFACE + frame(SETTINGS, 0, 0, settings))

    def __enter__(self):
        return self

    def __exit__(self, *why):
        self.sock.close()

    def send(self, data):
        """False: the server has closed."""
        try:
            self.sock.sendall(data)
            return True
        except OSError:
            return False

    def end(self):
        """No more from here."""
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # closed by the server

    def head(self, path, more=(), **replaced):
        return head(path, more, self.encoder, **replaced)

    def call(self, stream, path, body=None, more=(), **replaced):
        """Headers, and a whole call's message when there is a body."""
        data = frame(HEADERS, END_HEADERS, stream, self.head(path, more, **replaced))
        if body is not None:
            data += frame(DATA, END_STREAM, stream, message(body))
        return self.send(data)

    def upload(self, stream, size):
        """DATA of zeros, as the server's windows let it; how much, when the server goes or does not
        let go on for as long as the socket waits."""
        for done in range(0, size, 16384):
            while min(self.window(0), self.window(stream)) < 16384:
                try:
                    if self.read() is None or stream in self.over:
                        return done
                except TimeoutError:
                    return done
            if not self.send(frame(DATA, 0, stream, bytes(16384))):
                return done
            for k in (0, stream):
                self.sent[k] = self.sent.get(k, 0) + 16384
        return size

    def window(self, stream):
        first = self.first_window if stream else 65535
        return first + self.opened.get(stream, 0) - self.sent.get(stream, 0)

    def note_windows(self, kind, stream, payload):
        if kind == WINDOW_UPDATE:
            self.opened[stream] = self.opened.get(stream, 0) + int.from_bytes(payload, "big")
        for name, value in struct.iter_unpack(">HI", payload) if kind == SETTINGS else ():
            if name == 4:
                self.first_window = value

    def read(self):
        """The next frame: (kind, flags, stream, payload); None: the server has closed."""
        while len(self.data) < 9 or len(self.data) < 9 + int.from_bytes(self.data[:3], "big"):
            try:
                more = self.sock.recv(65536)
            except ConnectionError:
                more = b""
            if not more:
                self.closed = True
                return None
            self.data += more
        length = int.from_bytes(self.data[:3], "big")
        kind, flags, stream = struct.unpack(">BBI", self.data[3:9])
        payload, self.data = self.data[9:9 + length], self.data[9 + length:]
        if self.ack and kind in (SETTINGS, PING) and not flags & ACK:
            self.send(frame(kind, ACK, 0, payload if kind == PING else b""))
        self.note_windows(kind, stream, payload)
        if kind == HEADERS:
            self.fields.setdefault(stream, {}).update(self.decoder.decode(payload))
        if kind == RST_STREAM or (kind in (DATA, HEADERS) and flags & END_STREAM):
            self.over.add(stream)
        self.frames.append((kind, flags, stream, payload))
        return self.frames[-1]

    def wait_for(self, kind, stream=None):
        """The next frame of that kind; None: the server closed before."""
        while True:
            f = self.read()
            if f is None or (f[0] == kind and stream in (None, f[2])):
                return f

    def status(self, stream):
        """grpc-status of a call, -1 for a reset or a close."""
        return self.outcome(stream)[0]

    def outcome(self, stream):
        """(grpc-status, all headers and trailers) of a call; (-1, ...) without a status."""
        while stream not in self.over and self.read() is not None:
            pass
        fields = self.fields.get(stream, {})
        return int(fields.get("grpc-status", -1)), fields

    def drain(self):
        """Everything until the server closes."""
        while self.read() is not None:
            pass
        return self.frames
