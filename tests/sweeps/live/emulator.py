"""A terminal emulator around a command: what a person would see of it."""

import contextlib
import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time

import pyte

PATIENCE_SECONDS = 120  # the machine may be busy


class Emulator:
    """A command in a pseudo-terminal whose screen is kept.

    Args:
        command: Words of it.
        size: Columns and lines.
        environment: Of the process.
    """

    def __init__(self, command, size, environment):
        columns, lines = size
        self._screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self._screen)
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        words = {"TERM": "xterm-256color", "LANG": "C.UTF-8", "PYTHONIOENCODING": "utf-8"}
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env={**environment, **words}
        )
        os.close(slave)

    @property
    def lines(self):
        """The screen's lines without trailing blanks."""
        return [line.rstrip() for line in self._screen.display]

    def colour(self, text):
        """Foreground of the first place where a text stands."""
        row = next(i for i, line in enumerate(self._screen.display) if text in line)
        return self._screen.buffer[row][self._screen.display[row].index(text)].fg

    @property
    def shows_cursor(self):
        return not self._screen.cursor.hidden

    def type(self, text):
        """Keys a person presses."""
        os.write(self._master, text.encode())

    def until(self, is_seen):
        """Read until a predicate of the lines is true; returns them."""
        end = time.monotonic() + PATIENCE_SECONDS
        while not is_seen(self.lines):
            assert time.monotonic() < end, "\n".join(["never seen:", *self.lines])
            if not self._read():
                break
        assert is_seen(self.lines), "\n".join(["it ended with:", *self.lines])
        return self.lines

    def to_the_end(self):
        """Read until the command ends; returns its last lines."""
        while self._read():
            pass
        self.process.wait(PATIENCE_SECONDS)
        return self.lines

    def _read(self):
        """Feed what came; False once the command has closed the terminal."""
        if not select.select([self._master], [], [], 0.2)[0]:
            return True
        with contextlib.suppress(OSError):  # Linux's way to say that nobody has it open any more
            if data := os.read(self._master, 65536):
                self._stream.feed(data)
                return True
        return False

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._master)
