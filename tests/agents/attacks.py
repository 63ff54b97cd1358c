"""Programs for the sandbox: honest ones, attempts to get out, and bombs."""

# name: program, and what it prints
HONEST = {
    "arithmetic": ("print(sum(range(10)))", "45\n"),
    "modules": (
        "import math, json, re, random, statistics, datetime, decimal, string\n"
        "import itertools, functools, collections, dataclasses, typing, heapq, bisect, hashlib\n"
        "@dataclasses.dataclass\nclass A:\n    x: int\n"
        "print(A(3), collections.namedtuple('P', 'x y')(1, 2), hashlib.md5(b'').hexdigest()[:4])",
        "A(x=3) P(x=1, y=2) d41d\n",
    ),
    "files": (
        "import os, json, pathlib\nos.mkdir('d')\n"
        "with open('d/a.json', 'w') as f: json.dump([1], f)\n"
        "os.rename('d/a.json', 'b.json'); os.rmdir('d')\n"
        "print(pathlib.Path('b.json').read_text(), os.listdir('.'), os.listdir(os.getcwd()))",
        "[1] ['b.json'] ['b.json']\n",
    ),
    "unicode": ("print('é 日本 😀', ascii('\\ud800'))\nprint('\\ud800')", None),
    "pickle": ("import pickle\nprint(pickle.loads(pickle.dumps([1, {2}])))", "[1, {2}]\n"),
    "input": ("try: input()\nexcept EOFError: print('nobody there')", "nobody there\n"),
    "time": ("import time\ntime.sleep(0.05)\nprint(time.time() > 0, time.strftime('%Y'))", None),
}  # fmt: skip

SHELL = "touch {mark}; echo ESCAPED"
# name: code. {mark} is a file outside that must not appear, {secret} a file that must not be read,
# {port} a server on this machine that must not be reached.
ATTACKS = {
    "subclasses": """
for one in ().__class__.__base__.__subclasses__():
    space = getattr(one.__init__, '__globals__', {{}})
    for name in ('system', 'popen'):
        if name in space:
            try: print(space[name](SHELL).read())
            except Exception as error: print(type(error))
""",
    "system": "import os\nos.system(SHELL)",
    "popen": "import os\nprint(os.popen(SHELL).read())",
    "exec": "import os\nos.execv('/bin/sh', ['sh', '-c', SHELL])",
    "execve_fd": "import os\nos.execve(os.open('/bin/sh', os.O_RDONLY), ['sh', '-c', SHELL], {{}})",
    "spawn": "import os\nos.posix_spawn('/bin/sh', ['sh', '-c', SHELL], {{}})",
    "subprocess": "import subprocess\nprint(subprocess.run(SHELL, shell=True))",
    "pty": "import pty\npty.spawn(['sh', '-c', SHELL])",
    "fork": "import os\nif os.fork() == 0: print('ESCAPED')",
    "fork_bomb": "import os\nwhile True: os.fork(); print('ESCAPED')",
    "multiprocessing": """
import multiprocessing as m
m.get_context('fork').Process(target=print, args=('ESCAPED',)).start()
""",
    "passwd": "print(open('/etc/passwd').read())",
    "passwd_os": "import os\nprint(os.read(os.open('/etc/passwd', os.O_RDONLY), 9999))",
    "passwd_io": "import io\nprint(io.FileIO('/etc/passwd').read())",
    "passwd_bytes": "print(open(b'/etc/passwd').read())",
    "passwd_path": "import pathlib\nprint(pathlib.Path('/etc/passwd').read_text())",
    "passwd_up": "import os\nprint(open('../' * 20 + 'etc/passwd').read())",
    "passwd_chdir": "import os\nos.chdir('/')\nprint(open('etc/passwd').read())",
    "passwd_dir_fd": """
import os
print(os.read(os.open('passwd', os.O_RDONLY, dir_fd=os.open('/etc', os.O_RDONLY)), 9999))
""",
    "passwd_symlink": "import os\nos.symlink('/etc/passwd', 'x')\nprint(open('x').read())",
    "passwd_hardlink": "import os\nos.link('/etc/passwd', 'x')\nprint(open('x').read())",
    "passwd_stdlib": """
import linecache, fileinput
print(''.join(linecache.getlines('/etc/passwd')))
print(''.join(fileinput.input('/etc/passwd')))
""",
    "passwd_fake_path": """
import os
class Path(str):
    def startswith(self, *_): return True
    def __contains__(self, _): return False
    def __getitem__(self, _): return ''
print(open(Path('/etc/passwd')).read())
""",
    "passwd_fspath": """
class Twice:
    n = 0
    def __fspath__(self):
        self.n += 1
        return '/etc/passwd' if self.n > 1 else 'x'
print(open(Twice()).read())
""",
    "listing": "import os\nif os.listdir('/etc'): print('ESCAPED')",
    "scanning": "import os\nif list(os.scandir('/')): print('ESCAPED')",
    "own_environment": "if open('/proc/self/environ').read() is not None: print('ESCAPED')",
    "parents_environment": """
import os
print(open(f'/proc/{{os.getppid()}}/environ').read(), 'ESCAPED')
""",
    "parents_memory": "import os\nopen(f'/proc/{{os.getppid()}}/mem', 'rb')\nprint('ESCAPED')",
    "secret_file": "print(open({secret!r}).read())",
    "inherited_files": """
import os
for number in range(3, 64):
    try: print('ESCAPED', number, os.fstat(number), os.read(number, 99))
    except OSError: pass
""",
    "environment": "import os\nprint(dict(os.environ))\nprint(os.environb)",
    "write": "open({mark!r}, 'w').close()\nprint('ESCAPED')",
    "write_os": "import os\nos.close(os.open({mark!r}, os.O_CREAT | 1))\nprint('ESCAPED')",
    "write_mkdir": "import os\nos.mkdir({mark!r})",
    "write_rename": "import os\nopen('x', 'w').close()\nos.rename('x', {mark!r})",
    "write_rename_fake": """
import os
open('x', 'w').close()
class Path(str):
    def startswith(self, *_): return True
os.replace(Path('x'), Path({mark!r}))
""",
    "write_link": "import os\nopen('x', 'w').close()\nos.link('x', {mark!r})",
    "write_symlink": "import os\nos.symlink({mark!r}, 'x')\nopen('x', 'w').close()",
    "write_shutil": "import shutil\nopen('x', 'w').close()\nshutil.move('x', {mark!r})",
    "write_sqlite": "import sqlite3\nsqlite3.connect({mark!r}).execute('create table t(x)')",
    "write_mkfifo": "import os\nos.mkfifo({mark!r})",
    "delete": "import os\nos.remove({secret!r})",
    "truncate": "import os\nos.truncate({secret!r}, 0)",
    "chmod": "import os\nos.chmod({secret!r}, 0o777)\nprint('ESCAPED')",
    "socket": """
import socket
socket.create_connection(('127.0.0.1', {port}), 2).sendall(b'x')
print('ESCAPED')
""",
    "socket_raw": """
import _socket
s = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
print('ESCAPED'); s.connect(('127.0.0.1', {port}))
""",
    "socket_udp": """
import socket
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', {port}))
print('ESCAPED')
""",
    "socket_unix": "import socket\nsocket.socketpair()\nprint('ESCAPED')",
    "socket_smuggled": """
import sys
for name in list(sys.modules):
    if 'socket' in name: del sys.modules[name]
import importlib.machinery, importlib.util
for finder in sys.meta_path:
    spec = finder.find_spec('_socket', None)
    if spec:
        m = importlib.util.module_from_spec(spec)
        s = m.socket(); print('ESCAPED'); s.connect(('127.0.0.1', {port}))
""",
    "url": "import urllib.request as u\nu.urlopen('http://127.0.0.1:{port}', timeout=2)",
    "asyncio": """
import asyncio
asyncio.run(asyncio.open_connection('127.0.0.1', {port}))
print('ESCAPED')
""",
    "ctypes_system": "import ctypes\nctypes.CDLL(None).system(SHELL.encode())",
    "ctypes_socket": "import ctypes\nif ctypes.CDLL(None).socket(2, 1, 0) >= 0: print('ESCAPED')",
    "ctypes_open": """
import ctypes
if ctypes.CDLL(None).open(b'/etc/passwd', 0) >= 0: print('ESCAPED')
""",
    "ctypes_calls": """
import ctypes
c = ctypes.CDLL(None)
# clone, fork, execve, ptrace, io_uring_setup, socket as an x32 call, setns, memfd_create
for call in (56, 57, 59, 101, 425, 0x40000000 + 41, 308, 319):
    if c.syscall(call, 0, 0, 0, 0, 0) == 0: print('ESCAPED', call)
""",
    "ctypes_unguard": """
import ctypes
c = ctypes.CDLL(None)
if c.prctl(22, 0, 0, 0, 0) == 0 or c.prctl(38, 0, 0, 0, 0) == 0: print('ESCAPED')
""",
    "kill_parent": "import os\nos.kill(os.getppid(), 9)",
    "kill_all": "import os\nos.kill(-1, 9)",
    "kill_group": "import os\nos.killpg(os.getpgid(os.getppid()), 9)",
    "daemon": """
import os
if os.fork() == 0:
    os.setsid()
    print('ESCAPED')
""",
    "raise_limits": """
import resource
resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
print('ESCAPED')
""",
    "prlimit": "import resource\nresource.prlimit(0, 7, (999, 999))\nprint('ESCAPED')",
    "import_project": "import sys\nsys.path.insert(0, {root!r})\nimport llmlib\nprint('ESCAPED')",
    "import_by_path": """
import importlib.util as u
spec = u.spec_from_file_location('x', {root!r} + '/llmlib/runtime.py')
spec.loader.exec_module(u.module_from_spec(spec))
print('ESCAPED')
""",
    "runpy": "import runpy\nrunpy.run_path({root!r} + '/llmlib/__init__.py')\nprint('ESCAPED')",
    "site": "import torch\nprint('ESCAPED')",
    "pickle": """
import pickle, os
class Bad:
    def __reduce__(self): return os.system, (SHELL,)
pickle.loads(pickle.dumps(Bad()))
""",
    "eval_in_eval": "eval(\"exec('import os; os.system(SHELL)')\")",
    "exit_handler": "import atexit, os\natexit.register(os.system, SHELL)",
    "finalizer": """
class Late:
    def __del__(self):
        import os
        os.system(SHELL)
late = Late()
""",
    "excepthook": "import sys, os\nsys.excepthook = lambda *_: os.system(SHELL)\n1 / 0",
    "replace_builtins": """
import builtins
builtins.PermissionError = builtins.type = builtins.str = lambda *a: None
builtins.isinstance = builtins.any = builtins.len = lambda *a: True
print(builtins.open('/etc/passwd').read())
""",
    "patch_the_guard": """
import sys
try: open('/etc/shadow')
except Exception as error:
    trace = error.__traceback__
    while trace:
        space = trace.tb_frame.f_locals
        for name, value in list(space.items()):
            if callable(value) and hasattr(value, '__code__'):
                value.__code__ = (lambda *a: True).__code__
        for key in ('own', 'places', 'denied', 'modules'): space[key] = ('',)
        trace = trace.tb_next
print(open('/etc/passwd').read())
""",
    "frames": """
import sys
frame = sys._getframe()
while frame.f_back:
    frame = frame.f_back
    frame.f_globals['DENIED_EVENTS'] = ()
    frame.f_globals['_watch'] = None
print(open('/etc/passwd').read())
""",
    "audit_hooks": "import sys\nsys.addaudithook(lambda *_: None)\nimport os\nos.system(SHELL)",
    "change_own_script": "open({jail!r}, 'a').write('#')\nprint('ESCAPED')",
    "poison_library": "import json\nopen(json.__file__, 'a').write('#')\nprint('ESCAPED')",
}  # fmt: skip

# name: program, and how it may end
BOMBS = {
    "loop": ("while True: pass", {"time", "crash"}),
    "sleep": ("import time\ntime.sleep(1000)", {"time"}),
    "big_power": ("x = 3 ** 10 ** 9", {"time", "crash", "failed"}),
    "regex": ("import re\nre.match('(a+)+$', 'a' * 60 + 'b')", {"time", "crash"}),
    "memory": ("x = []\nwhile True: x.append(bytearray(10 ** 7))", {"failed"}),
    "memory_at_once": ("x = bytes(10 ** 10)", {"failed"}),
    "memory_list": ("x = [0] * 10 ** 9", {"failed"}),
    "recursion": ("def f(): f()\nf()", {"failed"}),
    "deep_recursion": (
        "import sys\nsys.setrecursionlimit(10 ** 8)\ndef f(x): return [f(x)]\nf(1)",
        {"crash", "failed", "time"},
    ),
    "output": ("while True: print('x' * 1000)", {"output"}),
    "errors": ("import sys\nwhile True: sys.stderr.write('x' * 1000)", {"output"}),
    "error_text": ("raise ValueError('x' * 10 ** 7)", {"output", "failed"}),
    "one_file": ("f = open('x', 'wb')\nwhile True: f.write(bytes(10 ** 6)); f.flush()",
                 {"failed", "crash"}),
    "many_files": ("n = 0\nwhile True: open(str(n), 'w').close(); n += 1", {"files"}),
    "many_large_files": (
        "n = 0\nwhile True:\n    with open(str(n), 'wb') as f: f.write(bytes(10 ** 6))\n    n += 1",
        {"files"},
    ),
    "open_files": ("f = [open(str(n), 'w') for n in range(99)]", {"failed"}),
    "folders": ("import os\nwhile True: os.mkdir('d'); os.chdir('d')", {"files", "failed"}),
    "closed_output": ("import os, time\nos.close(1); os.close(2)\ntime.sleep(1000)", {"time"}),
    "deaf": (
        "import signal, time\nfor s in (1, 2, 3, 15): signal.signal(s, signal.SIG_IGN)\n"
        "time.sleep(1000)", {"time"}),
    "threads": (
        "import threading, time\nwhile True:\n"
        "    threading.Thread(target=time.sleep, args=(60,)).start()", {"failed", "crash", "time"}),
    "abort": ("import os\nos.abort()", {"crash"}),
    "segfault": ("import os\nc = (lambda: 0).__code__\n"
                 "exec(c.replace(co_code=bytes([100, 255] * 9)))", {"crash", "failed"}),
    "exit_silently": ("import os\nos._exit(97)", {"failed"}),
    "lone_exit": ("import os\nos._exit(0)", {"done"}),
}  # fmt: skip
