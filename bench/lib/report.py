"""Tables for people: one per scenario, and the project's expectations beside what was found."""
import growth
from scenarios import median

COLUMNS = ('load', 'server', 'messages/s (min-max)', 'p50 ms', 'p99 ms', 'CPU ms', 'per commit',
           'rate x', 'CPU x')
QUEUE_COLUMNS = ('queue', 'destinations', 'mail.db MiB', 'made in s', 'start s', 'CPU s', 'PSS MiB')
TLS_COLUMNS = ('', 'found (min-max)')
IDLE_COLUMNS = ('server', 'processes', 'idle PSS MiB (min-max)', 'connections', 'KiB each')


def figure(value, digits=2):
    """A number short enough for a table."""
    if value is None:
        return ''
    if value >= 100:
        return f'{value:.0f}'
    return f'{value:.1f}' if value >= 10 else f'{value:.{digits}f}'


def spread(runs, key, scale=1.0):
    """The median, and the range when there was more than one run."""
    values = [run[key] * scale for run in runs]
    text = figure(median(runs, key) * scale)
    if len(values) > 1:
        text += f' ({figure(min(values))}-{figure(max(values))})'
    return text


def print_table(columns, rows, left=2):
    """Aligned columns; the first `left` of them lean left."""
    widths = [max(len(str(row[i])) for row in (columns, *rows)) for i in range(len(columns))]
    for row in (columns, *rows):
        cells = [str(cell).ljust(width) if i < left else str(cell).rjust(width)
                 for i, (cell, width) in enumerate(zip(row, widths))]
        print('  ' + '  '.join(cells).rstrip())


def ratios(by_server):
    """Hikyaku's rate in times that of the other server, and its CPU likewise; or None."""
    others = [name for name in by_server if name != 'Hikyaku']
    if 'Hikyaku' not in by_server or not others:
        return None, None
    ours, theirs = by_server['Hikyaku'], by_server[others[0]]
    rate = median(ours, 'rate') / max(0.001, median(theirs, 'rate'))
    return rate, median(ours, 'cpu_ms') / max(0.000001, median(theirs, 'cpu_ms'))


def _lines(label, by_server):
    rate, cpu = ratios(by_server)
    for name in sorted(by_server):
        runs = by_server[name]
        is_ours = name == 'Hikyaku'
        yield (label, name, spread(runs, 'rate'), figure(median(runs, 'p50_ms')),
               figure(median(runs, 'p99_ms')), figure(median(runs, 'cpu_ms'), 3),
               figure(median(runs, 'per_commit')), figure(rate if is_ours else None),
               figure(cpu if is_ours else None))
        label = ''


def _print_doubts(result):
    """What makes the figures doubtful: errors, skipped servers, other work on the machine."""
    runs = [run for row in result['rows'].values() for found in row.values() for run in found]
    for label, row in result['rows'].items():
        for name, found in row.items():
            bad = sum(run['errors'] + run['unfinished'] for run in found)
            if bad:
                said = next((run['said'] for run in found if run['said']), '')
                print(f'  {name}, {label}: {bad} messages not accepted: {said}')
    for name, reason in result['skipped'].items():
        print(f'  skipped: {name}: {reason}')
    if runs:
        noise = [run['noise'] for run in runs]
        syncs = ', '.join(figure(value) for value in result['sync_us'])
        print(f'  other work on the machine: median {figure(median(runs, "noise"))}, '
              f'max {figure(max(noise))} cores; a sync took {syncs} us')


def print_race(title, result):
    """The table of a race."""
    print(f'\n{title}')
    rows = [line for label, by_server in result['rows'].items()
            for line in _lines(label, by_server)]
    print_table(COLUMNS, rows)
    _print_doubts(result)


def print_crowded(title, result):
    """The table of a race of queues, and what each queue is and costs at the start."""
    print_race(title, result)
    rows = [(name, found.get('destinations'), figure(found.get('mib')), figure(found.get('fill_s')),
             figure(found.get('start_s')), figure(found.get('start_cpu_s')),
             figure(found.get('idle_kib', 0) / 1024))
            for name, found in result['queues'].items()]
    print_table(QUEUE_COLUMNS, rows, left=1)


def print_idle(title, result):
    """The table of the idle servers."""
    print(f'\n{title}')
    rows = [(name, figure(median(runs, 'processes')), spread(runs, 'idle_kib', 1 / 1024),
             figure(median(runs, 'connections')), figure(median(runs, 'connection_kib')))
            for name, runs in result['servers'].items()]
    print_table(IDLE_COLUMNS, rows, left=1)
    for name, reason in result['skipped'].items():
        print(f'  skipped: {name}: {reason}')


def print_tls(title, result):
    """What TLS costs."""
    print(f'\n{title}')
    shakes, idle = result['tls']['handshakes'], result['tls']['idle']
    rows = [(what, spread(runs, key)) for what, runs, key in (
        ('full handshakes/s, port 465, openssl s_time', shakes, 'rate'),
        ('the same against openssl s_server', shakes, 'openssl_rate'),
        ('ratio', shakes, 'ratio'), ('server CPU ms per handshake', shakes, 'cpu_ms'),
        ('idle TLS connections', idle, 'connections'),
        ('KiB each', idle, 'connection_kib')) if runs]
    print_table(TLS_COLUMNS, rows, left=1)
    for name, reason in result['skipped'].items():
        print(f'  skipped: {name}: {reason}')


def _found(results, scenario, label, server='Hikyaku'):
    return results.get(scenario, {}).get('rows', {}).get(label, {}).get(server, [])


def _row_ratio(results, scenario, label):
    return ratios(results.get(scenario, {}).get('rows', {}).get(label, {}))[0]


def _growth_checks(result):
    for label, by_server in result.get('rows', {}).items():
        least = median(by_server.get(growth.name_of(growth.COUNTS[0]), []), 'cpu_ms')
        for count in growth.COUNTS[1:]:
            cost = median(by_server.get(growth.name_of(count), []), 'cpu_ms')
            yield (f'growth, {label}, {count} waiting: CPU, times that with {growth.COUNTS[0]}',
                   '<=', 1.2, cost / least if cost and least else None)


def expectations(results):
    """(what, limit as text, found or None, whether it holds) of each expectation."""
    ours = results.get('idle', {}).get('servers', {}).get('Hikyaku', [])
    idle = median(ours, 'idle_kib')
    checks = [('idle memory of the whole server, MiB', '<', 40,
               None if idle is None else idle / 1024),
              ('memory of an idle plain connection, KiB', '<=', 10,
               median(ours, 'connection_kib'))]
    for per in (100, 1):
        label = f'4 KiB, 50 conn, {per}/conn'
        checks.append((f'intake, {label}: server CPU ms per message', '<=', 0.13,
                       median(_found(results, 'intake', label), 'cpu_ms')))
        checks.append((f'intake, {label}: rate, times Postfix', '>=', 10,
                       _row_ratio(results, 'intake', label)))
    for label in results.get('relay', {}).get('rows', {}):
        checks.append((f'relay, {label}: rate, times Postfix', '>=', 8,
                       _row_ratio(results, 'relay', label)))
        checks.append((f'relay, {label}: server CPU ms per message', '<=', 0.3,
                       median(_found(results, 'relay', label), 'cpu_ms')))
    for label in results.get('submission', {}).get('rows', {}):
        checks.append((f'submission, {label}: rate, times Postfix+Dovecot', '>=', 5,
                       _row_ratio(results, 'submission', label)))
    tls = results.get('tls', {}).get('tls', {})
    if tls:
        checks += [("full handshakes, times openssl's own", '>=', 0.7,
                    median(tls['handshakes'], 'ratio')),
                   ('memory of an idle TLS connection, KiB', '<=', 28,
                    median(tls['idle'], 'connection_kib'))]
    checks += _growth_checks(results.get('growth', {}))
    for label in results.get('local', {}).get('rows', {}):
        checks.append((f'local delivery, {label}: rate, times Postfix+Dovecot', '>=', 20,
                       _row_ratio(results, 'local', label)))
    for what, sign, limit, found in checks:
        is_met = found is not None and {'<': found < limit, '<=': found <= limit,
                                        '>=': found >= limit}[sign]
        yield what, f'{sign} {limit}', found, is_met


def print_expectations(results):
    """What the project promises, beside what was found. Nothing fails by it."""
    print('\nExpectations')
    rows = [(what, limit, figure(found, 3) if found is not None else '-',
             'not measured' if found is None else 'met' if is_met else 'NOT MET')
            for what, limit, found, is_met in expectations(results)]
    print_table(('', 'expected', 'found', ''), rows, left=1)
