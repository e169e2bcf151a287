# SPDX-License-Identifier: GPL-2.0
"""Answer the events of a virtual machine while it runs."""
import contextlib
import json
import socket
import tempfile
import threading
from pathlib import Path


def talk(path, reply, done):
    with socket.socket(socket.AF_UNIX) as qmp:
        while qmp.connect_ex(str(path)):
            if done.wait(0.2):
                return
        with qmp.makefile('rw', encoding='utf-8') as lines, contextlib.suppress(OSError):
            def tell(command, arguments):
                lines.write(json.dumps({'execute': command, 'arguments': arguments}) + '\n')
                lines.flush()
            tell('qmp_capabilities', {})
            for line in lines:
                said = json.loads(line)
                if 'event' in said:
                    for command, arguments in reply(said['event'], said.get('data', {})):
                        tell(command, arguments)


@contextlib.contextmanager
def answers(reply):
    """Options for a QEMU whose events are answered as long as the context lasts:
    reply(event, data) returns [(command, arguments)]."""
    with tempfile.TemporaryDirectory(prefix='ims-qmp-') as tmp:
        path, done = Path(tmp) / 'qmp', threading.Event()
        thread = threading.Thread(target=talk, args=(path, reply, done), daemon=True)
        thread.start()
        try:
            yield '-qmp', f'unix:{path},server=on,wait=off'
        finally:
            done.set()
            thread.join(10)
