"""Shows the parked fibers of a process in gdb.

    (gdb) source tools/gdb_fibers.py
    (gdb) fibers            list them: name, state, where each is parked
    (gdb) fiber 3           backtrace of one

Reads the saved stack pointer of x86-64 (six registers, then the return address). Works on a live
process: the registers of the thread are changed for the backtrace and put back.
"""
import gdb


def all_fibers():
    head = gdb.parse_and_eval('&fibers.all')
    fiber_type = gdb.lookup_type('struct fiber')
    offset = next(int(f.bitpos) // 8 for f in fiber_type.fields() if f.name == 'in_all')
    link = head['next']
    while link != 0 and link != head:
        address = int(link) - offset
        yield gdb.Value(address).cast(fiber_type.pointer()).dereference()
        link = link['next']


def saved_registers(fiber):
    words = fiber['context']['stack_pointer'].cast(gdb.lookup_type('unsigned long').pointer())
    names = ('r15', 'r14', 'r13', 'r12', 'rbx', 'rbp', 'rip')
    registers = {name: int(words[i]) for i, name in enumerate(names)}
    registers['rsp'] = int(words) + 8 * len(names)
    return registers


class Fibers(gdb.Command):
    """List all fibers."""

    def __init__(self):
        super().__init__('fibers', gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        for number, fiber in enumerate(all_fibers()):
            state = 'parked' if fiber['is_parked'] else 'ready or running'
            where = ''
            if fiber['is_parked']:
                address = saved_registers(fiber)['rip']
                where = gdb.execute('info symbol %d' % address, to_string=True)
            print('%4d %-12s %-16s %s' % (number, fiber['name'].string(), state, where.strip()))


class Fiber(gdb.Command):
    """Backtrace of one parked fiber, by its number in `fibers`."""

    def __init__(self):
        super().__init__('fiber', gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        fiber = list(all_fibers())[int(argument)]
        names = ('rip', 'rsp', 'rbp', 'rbx', 'r12', 'r13', 'r14', 'r15')
        before = {name: int(gdb.parse_and_eval('(long)$' + name)) for name in names}
        try:
            for name, value in saved_registers(fiber).items():
                gdb.execute('set $%s = %d' % (name, value))
            gdb.execute('bt')
        finally:
            for name, value in before.items():
                gdb.execute('set $%s = %d' % (name, value))


Fibers()
Fiber()
