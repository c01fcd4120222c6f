import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readlinkSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { ConsoleReader, readLine } from '../../../lib/lab/boot/console.ts';
import { cpioFile, cpioLink, packCpio } from '../../../lib/lab/disk/cpio.ts';
import { shellQuote } from '../../../lib/lab/disk/initramfs.ts';
import { readLdd } from '../../../lib/lab/disk/medium.ts';
import { installCommand, missingPackages, parseInstalled } from '../../../lib/lab/kernel/debian.ts';
import { findEmulator } from '../../../lib/lab/lanes/find-emulator.ts';
import { chooseCpuModel, readBochsCpuModels, readBochsHelp, vmxBochs } from '../../../lib/lab/lanes/vmx-bochs.ts';
import { elapsed } from '../../../lib/lab/progress.ts';

const dir = mkdtempSync(join(tmpdir(), 'kvm-dsm-test-'));
after(() => rmSync(dir, { recursive: true, force: true }));

describe('the console', () => {
  test('marks are found behind a time stamp and before a carriage return', () => {
    assert.deepEqual(readLine('[    1.234567] @kvm-dsm exit 7\r'), { type: 'mark', word: 'exit', rest: '7' });
    assert.deepEqual(readLine('@kvm-dsm no-medium sda sr0'), { type: 'mark', word: 'no-medium', rest: 'sda sr0' });
    assert.equal(readLine('[    1.2] @kvm-dsmexit 7'), undefined);
  });

  test('panics and oopses are found, warnings are neither', () => {
    assert.deepEqual(readLine('[    2.0] Kernel panic - not syncing: Fatal exception\r'), {
      type: 'panic',
      text: 'Fatal exception',
    });
    for (const text of [
      'BUG: kernel NULL pointer dereference, address: 0000000000000008',
      'BUG: unable to handle page fault for address: ffffc90000000000',
      'Oops: Oops: 0002 [#1] SMP NOPTI',
      'kernel BUG at arch/x86/kvm/x86.c:123!',
      'general protection fault, probably for non-canonical address 0xdead: 0000 [#1] SMP',
      'watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [node:80]',
    ]) {
      assert.deepEqual(readLine(`[    2.0] ${text}`), { type: 'oops', text });
    }
    assert.equal(readLine('[    2.0] WARNING: CPU: 0 PID: 1 at kernel/x.c:1 f+0x0/0x10'), undefined);
    assert.equal(readLine('[    2.0] [Firmware Bug]: TSC_DEADLINE disabled'), undefined);
  });

  test('lines may come in any pieces; marks stay out of the log, a torn character does not', () => {
    const reader = new ConsoleReader();
    const bytes = Buffer.from('\x1bc\x1b[?7lSeaBIOS\r\n[ 0.1] für\r\n[ 0.2] @kvm-dsm boot 6.12\r\nlast');
    const events = [...bytes].flatMap((byte) => reader.feed(Buffer.of(byte)));
    assert.deepEqual(events, [{ type: 'mark', word: 'boot', rest: '6.12' }]);
    assert.deepEqual(reader.tail(), ['SeaBIOS', '[ 0.1] für', 'last']);
    assert.deepEqual(reader.tail(2), ['[ 0.1] für', 'last']);
  });

  test('a crash stays in the log, however much follows it', () => {
    const reader = new ConsoleReader();
    for (let line = 0; line < 1000; line++) reader.feed(Buffer.from(`before ${line}\n`));
    reader.feed(Buffer.from('Oops: 0000 [#1]\n'));
    for (let line = 0; line < 1000; line++) reader.feed(Buffer.from(`after ${line}\n`));
    const tail = reader.tail();
    assert.ok(tail.includes('before 999') && tail.includes('Oops: 0000 [#1]') && tail.includes('after 0'));
    assert.ok(tail.length < 60);
  });
});

describe('packCpio', () => {
  const archive = packCpio([
    cpioFile('a/b/run', 'three\n', true),
    cpioLink('a/link', 'b/run'),
    cpioFile('empty', ''),
    cpioFile('a/b/bytes', Buffer.from([0, 255, 10])),
  ]);

  test('files, links, modes, and the folders above them, in the format that the kernel unpacks', () => {
    const entries = readNewc(archive).map(({ name, mode, data }) => [name, mode.toString(8), data.toString('latin1')]);
    assert.deepEqual(entries, [
      ['a', '40755', ''],
      ['a/b', '40755', ''],
      ['a/b/run', '100755', 'three\n'],
      ['a/link', '120777', 'b/run'],
      ['empty', '100644', ''],
      ['a/b/bytes', '100644', '\x00\xff\n'],
    ]);
  });

  const busybox = spawnSync('busybox', ['cpio', '--help']).status === 0;
  test("busybox's cpio unpacks it", { skip: !busybox && 'there is no busybox with cpio here' }, () => {
    const { status, stderr } = spawnSync('busybox', ['cpio', '-i'], { cwd: dir, input: archive, encoding: 'utf8' });
    assert.equal(status, 0, stderr);
    assert.equal(readFileSync(join(dir, 'a/link'), 'utf8'), 'three\n');
    assert.equal(readlinkSync(join(dir, 'a/link')), 'b/run');
    assert.equal(statSync(join(dir, 'a/b/run')).mode & 0o777, 0o755);
    assert.equal(statSync(join(dir, 'empty')).size, 0);
    assert.deepEqual([...readFileSync(join(dir, 'a/b/bytes'))], [0, 255, 10]);
  });
});

/**
 * Reads an archive by Documentation/driver-api/early-userspace/buffer-format.rst: a magic, 13 numbers of 8 hexadecimal
 * digits, the name with its NUL, the data; the name and the data end at a multiple of 4 bytes.
 */
function readNewc(archive: Buffer): { name: string; mode: number; data: Buffer }[] {
  const entries: ReturnType<typeof readNewc> = [];
  const inodes = new Set<number>();
  const aligned = (at: number) => {
    const end = Math.ceil(at / 4) * 4;
    assert.ok(archive.subarray(at, end).every((byte) => byte === 0) && end <= archive.length, `no padding at ${at}`);
    return end;
  };
  for (let at = 0; at < archive.length; ) {
    const header = archive.toString('latin1', at, at + 110);
    assert.match(header, /^070701[0-9a-f]{104}$/i, `no header at ${at}`);
    const numbers = header
      .slice(6)
      .match(/.{8}/g)!
      .map((digits) => Number.parseInt(digits, 16));
    const [inode, mode, , , links, , size, , , , , nameSize, checksum] = numbers;
    const nameEnd = at + 110 + nameSize!;
    assert.equal(archive[nameEnd - 1], 0, 'the name ends with NUL');
    const name = archive.toString('latin1', at + 110, nameEnd - 1);
    const start = aligned(nameEnd);
    assert.equal(checksum, 0);
    if (name === 'TRAILER!!!') {
      assert.equal(start, archive.length, 'something stands after the trailer');
      return entries;
    }
    // Two names of one inode with more than one link would be one file.
    assert.ok(links === 1 && !inodes.has(inode!), name);
    inodes.add(inode!);
    entries.push({ name, mode: mode!, data: archive.subarray(start, start + size!) });
    at = aligned(start + size!);
  }
  return assert.fail('no trailer');
}

test('shellQuote gives the shell back every word', () => {
  const words = ["it's", '', ' a  b ', '$HOME `x` "y" \\', 'line\nbreak', '*', '-n', '\u{1f427}'];
  const { stdout } = spawnSync('sh', ['-c', `printf '%s\\0' ${words.map(shellQuote).join(' ')}`], { encoding: 'utf8' });
  assert.deepEqual(stdout.split('\0').slice(0, -1), words);
});

test("readLdd takes the paths of ldd's lines", () => {
  const text =
    '\tlinux-vdso.so.1 (0x00007f9da8dc4000)\n' +
    '\tlibdl.so.2 => /lib/x86_64-linux-gnu/libdl.so.2 (0x00007f9da8dad000)\n' +
    '\tlibmissing.so => not found\n' +
    '\t/lib64/ld-linux-x86-64.so.2 (0x00007f9da8dc6000)\n';
  assert.deepEqual(readLdd(text), ['/lib/x86_64-linux-gnu/libdl.so.2', '/lib64/ld-linux-x86-64.so.2']);
});

describe('Debian packages', () => {
  test('only what dpkg calls installed is', () => {
    const text = 'installed\tbc\t1.07\nconfig-files\tflex\t2.6\n\nnot-installed\tbison\t\n';
    assert.deepEqual([...parseInstalled(text)], [['bc', '1.07']]);
  });

  test('what is missing is listed in the given order', {
    skip: spawnSync('dpkg-query', ['--version']).error?.message,
  }, () => {
    assert.deepEqual(missingPackages(['no-such-package-2', 'dpkg', 'no-such-package-1']), [
      'no-such-package-2',
      'no-such-package-1',
    ]);
    assert.deepEqual(missingPackages([]), []);
  });

  test('installCommand is one line for a shell', () => {
    const command = installCommand(['bc', 'flex']);
    assert.equal(command.split('\n').length, 1);
    assert.match(command, /apt-get install -y --no-install-recommends bc flex/);
  });
});

describe('emulators', () => {
  const models = ['bx_generic', 'corei7_sandy_bridge_2600k', 'corei7_haswell_4770', 'corei7_skylake_x', 'tigerlake'];

  test('the steadiest model up to 2.7, one with posted interrupts where a newer Bochs has it', () => {
    assert.equal(chooseCpuModel('2.7', models), 'corei7_haswell_4770');
    assert.equal(chooseCpuModel('2.8', models), 'corei7_skylake_x');
    assert.equal(chooseCpuModel('3.0', models), 'corei7_skylake_x');
    assert.equal(chooseCpuModel('3.0', models.slice(0, 3)), 'corei7_haswell_4770');
    assert.equal(chooseCpuModel('3.0', ['bx_generic']), undefined);
  });

  const bochs = spawnSync('bochs', ['--help'], { encoding: 'utf8', env: { ...process.env, TERM: 'xterm' } });
  test('reads what this machine’s Bochs tells of itself', { skip: bochs.error && 'there is no Bochs here' }, () => {
    const help = `${bochs.stdout}${bochs.stderr}`;
    const { version, debugger: debug } = readBochsHelp(help);
    assert.match(version, /^\d+\.\d+/);
    assert.equal(debug, help.includes('-rc filename'));
    const cpus = spawnSync('bochs', ['--help', 'cpu'], { encoding: 'utf8' });
    const list = readBochsCpuModels(`${cpus.stdout}${cpus.stderr}`);
    assert.ok(list.includes('bx_generic') && list.includes('corei7_haswell_4770'), list.join(' '));
    assert.ok(!list.some((model) => /supported|bochs|quit/i.test(model)), list.join(' '));
    const found = findEmulator(vmxBochs);
    assert.equal(found.kind, 'bochs');
    assert.match((found as { display?: string }).display ?? '', /^(nogui|term)$/);
    assert.equal(found.version, version);
  });

  test('a help text without -rc is that of a build without the debugger', () => {
    assert.deepEqual(readBochsHelp('Usage: bochs\n  -dumpstats N\n  Bochs x86 Emulator 3.0\n'), {
      version: '3.0',
      debugger: false,
    });
  });
});

test('elapsed counts minutes and seconds', () => {
  assert.deepEqual([0, 999, 59_600, 83_000, 3_600_000].map(elapsed), ['0m00s', '0m01s', '1m00s', '1m23s', '60m00s']);
});
