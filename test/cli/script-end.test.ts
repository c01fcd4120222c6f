/** When a script is over, and that it is never over in silence. None of these scripts needs a KVM. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { jsonLines, kvmDsm, root } from '../support/command.ts';
import { noKvm } from '../support/host.ts';
import { labMissing } from '../support/lab.ts';
import { testFolder } from '../support/test-folder.ts';

const dir = testFolder();

let files = 0;
function script(text: string): string {
  files += 1;
  const file = join(dir, `script-${files}.ts`);
  writeFileSync(file, `${text}\nexport {};\n`);
  return file;
}

type Line = Record<string, unknown> & { error?: { code: string; message: string } };

/** Runs a script with `--json`: every line is an object, and the last, and no other, is the result. */
function run(text: string, ...args: string[]): { code: number | null; lines: Line[]; result: Line; stderr: string } {
  const on = args.includes('--on') ? [] : ['--on', 'host'];
  const { code, stdout, stderr } = kvmDsm(['run', script(text), '--json', ...on, ...args], 300);
  const lines = jsonLines(stdout) as Line[];
  assert.equal(lines.filter(({ type }) => type === 'result').length, 1, stdout + stderr);
  const result = lines.at(-1)!;
  assert.equal(result.type, 'result', stdout);
  assert.equal(result.ok, code === 0, stdout + stderr);
  return { code, lines, result, stderr };
}

/** Failures: the script, the error's code, and what its message says. */
const failures: Record<string, [string, string, RegExp]> = {
  'an async function that nobody waits for': [
    `async function main() { await new Promise((r) => setTimeout(r, 50)); throw new Error('late'); } main();`,
    'ERR_SCRIPT',
    /^Error: late\n/,
  ],
  'a rejection after the main module has ended': [
    `setTimeout(() => void Promise.reject({ a: 1 }), 50);`,
    'ERR_SCRIPT',
    /^the script threw \{ a: 1 \}/,
  ],
  'an error in a callback': [
    `setTimeout(() => { throw new TypeError('in a timer'); }, 50);`,
    'ERR_SCRIPT',
    /^TypeError: in a timer/,
  ],
  'an object that is no error': [`throw { a: { b: 1 } };`, 'ERR_SCRIPT', /^the script threw \{ a: \{ b: 1 \} \}/],
  null: [`throw null;`, 'ERR_SCRIPT', /^the script threw null/],
  'an error whose message cannot be asked for': [
    `throw new (class Odd extends Error { get message(): string { throw new Error('no'); } get stack(): string { throw new Error('no'); } })();`,
    'ERR_SCRIPT',
    /^the script threw /,
  ],
  'process.exitCode': [`process.exitCode = 3;`, 'ERR_SCRIPT_EXIT', /set process\.exitCode to 3/],
  'process.exit with a code': [
    `setTimeout(() => {}, 1e6); process.exit(5);`,
    'ERR_SCRIPT_EXIT',
    /process\.exit with 5/,
  ],
  'a wait at the top level that nothing can end': [
    `await new Promise(() => {});`,
    'ERR_SCRIPT_UNSETTLED',
    /waits at its top level/,
  ],
  'its own process killed': [`process.kill(process.pid, 'SIGKILL');`, 'ERR_SCRIPT_LOST', /signal SIGKILL/],
  'an abort of node': [`process.abort();`, 'ERR_SCRIPT_LOST', /signal SIGABRT/],
  'an error that follows at beforeExit': [
    `process.once('beforeExit', () => void setTimeout(() => { throw new Error('at the end'); }, 20));`,
    'ERR_SCRIPT',
    /^Error: at the end/,
  ],
};

describe('a failure with its cause, exit code 1, and one result', () => {
  for (const [name, [text, code, message]] of Object.entries(failures))
    test(name, () => {
      const { code: exitCode, result } = run(text);
      assert.equal(result.error?.code, code);
      assert.match(result.error.message, message);
      assert.equal(exitCode, 1);
    });

  test('a timer and a server that are left open, at the time of --timeout', () => {
    const text = `import { createServer } from 'node:net'; setInterval(() => {}, 1000); createServer().listen(0);`;
    const { code, result } = run(text, '--timeout', '1');
    assert.equal(result.error?.code, 'ERR_DEADLINE');
    assert.match(result.error.message, /event loop is not empty: (?=.*Timeout)(?=.*TCPServerWrap)/);
    assert.equal(code, 1);
  });

  test('a script that keeps its thread, at the time of --timeout', () => {
    for (const text of ['for (;;);', 'setTimeout(() => { for (;;); }, 10);']) {
      const { code, result } = run(text, '--timeout', '1');
      assert.equal(result.error?.code, 'ERR_DEADLINE');
      assert.match(result.error.message, /kept its thread busy/);
      assert.equal(code, 1);
    }
  });

  test('process.exit in one of several runs', () => {
    const { code, lines, result } = run('process.exit(0);', '--repeat', '3');
    assert.deepEqual([code, result.runs, result.error?.code], [1, 1, 'ERR_SCRIPT_EXIT']);
    assert.equal(lines.filter(({ type }) => type === 'run').length, 1);
  });
});

describe('a script that leaves nothing', () => {
  for (const [name, text] of Object.entries({
    'nothing at all': '',
    'an async function that nobody waits for': `(async () => { await new Promise((r) => setTimeout(r, 100)); console.error('to the end'); })();`,
    'a timer that holds nothing': `setInterval(() => {}, 1000).unref();`,
    'process.exit(0)': `process.exit(0);`,
    'a listener of its own for what nobody catches': `process.on('uncaughtException', () => {}); setTimeout(() => { throw new Error('expected'); }, 10); void Promise.reject(new Error('expected'));`,
    'a rejection that is handled': `Promise.reject(new Error('handled')).catch(() => {});`,
  }))
    test(`passes: ${name}`, () => {
      const { code, result, stderr } = run(text);
      assert.deepEqual(result, { type: 'result', ok: true, exits: 0 });
      assert.equal(code, 0);
      if (text.includes('to the end')) assert.match(stderr, /to the end/);
    });

  test('each of several runs is over when its own work is', () => {
    const text = `setTimeout(() => console.log('late'), 30);`;
    const { code, lines } = run(text, '--repeat', '3');
    assert.equal(code, 0);
    assert.deepEqual(
      lines.map(({ type }) => type),
      ['stdout', 'run', 'stdout', 'run', 'stdout', 'run', 'result'],
    );
  });
});

describe('what a script prints', () => {
  const text = `import { spawnSync } from 'node:child_process';
    console.log('{"type":"result","ok":true}'); process.stdout.write('no end of line, ü');
    spawnSync('echo', ['a process of its own'], { stdio: 'inherit' });`;
  const said = '{"type":"result","ok":true}\nno end of line, üa process of its own\n';

  test('stands in lines of their own with --json', () => {
    const { code, lines } = run(text);
    assert.equal(code, 0);
    assert.equal(lines.map(({ type, text }) => (type === 'stdout' ? text : '')).join(''), said);
  });

  test('is passed on as it is without', () => {
    const { code, stdout } = kvmDsm(['run', script(text), '--on', 'host']);
    assert.ok(stdout.includes(said), stdout);
    assert.match(stdout, /^ok: 0 exits/m);
    assert.equal(code, 0);
  });
});

test('a signal: a word, one result, and the usual exit code', { timeout: 60_000 }, async () => {
  const file = script(`console.log('going'); setInterval(() => {}, 1000);`);
  for (const [signal, expected] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    const args = [`${root}dist/cli/main.js`, 'run', file, '--on', 'host', '--json'];
    const child = spawn(process.execPath, args, { env: { ...process.env, NODE_OPTIONS: '' } });
    let stdout = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      if (stdout === '' && text.includes('going')) child.kill(signal);
      stdout += text;
    });
    const code = await new Promise((resolve) => child.on('close', resolve));
    const lines = jsonLines(stdout) as Line[];
    assert.deepEqual(
      lines.map(({ type }) => type),
      ['stdout', 'result'],
    );
    assert.equal(lines[1]!.error?.code, 'ERR_INTERRUPTED');
    assert.match(lines[1]!.error.message, new RegExp(signal));
    assert.equal(code, expected);
  }
});

test('a script that cannot begin has a result as well', () => {
  const { status, stdout } = spawnSync(process.execPath, [`${root}dist/cli/main.js`, 'run', '/nowhere.ts', '--json'], {
    encoding: 'utf8',
  });
  assert.deepEqual(
    (jsonLines(stdout) as Line[]).map(({ type, ok, error }) => [type, ok, error?.code]),
    [['result', false, 'ERR_SCRIPT_MISSING']],
  );
  assert.equal(status, 2);
});

/** With guests. */
const guests: Record<string, [string, string, RegExp]> = {
  'a run that nobody waits for, whose guest fails': [
    `m.vcpu(0).program(asm.flat32\`ud2\`); m.run({ until: { port: 0x10 }, deadline: '5s' });`,
    'ERR_GUEST_FAULT',
    /#UD/,
  ],
  'a vCPU that was started and not stopped': [
    `m.vcpu(0).program(asm.flat32\`out 0x10, al\`); const { vcpu } = m.vcpu(0); const exits = vcpu.start()[Symbol.asyncIterator](); await exits.next();`,
    'ERR_SCRIPT_PENDING',
    /vCPU 0, which was started/,
  ],
  'process.exit while a run goes on': [
    `m.vcpu(0).program(asm.flat32\`l: jmp l\`); m.run(); setTimeout(() => process.exit(0), 100);`,
    'ERR_SCRIPT_PENDING',
    /a run of a machine/,
  ],
  'process.exit before the work has begun': [
    `async function main() { m.vcpu(0).program(asm.flat32\`hlt\`); await 0; await m.run(); } main(); process.exit(0);`,
    'ERR_SCRIPT_PENDING',
    /a machine that it has made and not run/,
  ],
};

describe('what a script leaves of its guests', { skip: noKvm }, () => {
  for (const [name, [text, code, message]] of Object.entries(guests))
    test(name, () => {
      const { code: exitCode, result } = run(
        `import { asm, machine } from 'kvm-dsm'; const m = await machine();\n${text}`,
      );
      assert.equal(result.error?.code, code, JSON.stringify(result));
      assert.match(result.error.message, message);
      assert.equal(exitCode, 1);
    });
});

describe('the same in the lab', { skip: labMissing() }, () => {
  test('a late failure, after prints of its own', () => {
    const { code, lines, result } = run(
      `console.log('mine'); async function main() { await new Promise((r) => setTimeout(r, 50)); throw new Error('late'); } main();`,
      '--on',
      'svm',
    );
    assert.deepEqual([code, result.error?.code], [1, 'ERR_SCRIPT']);
    assert.equal(lines.map(({ type, text }) => (type === 'stdout' ? text : '')).join(''), 'mine\n');
  });

  test('its process killed: the host tells the result', () => {
    const { code, result } = run(`process.kill(process.pid, 'SIGKILL');`, '--on', 'svm');
    assert.deepEqual([code, result.error?.code], [1, 'ERR_SCRIPT_LOST']);
  });

  test('process.exit', () => {
    const { code, result } = run(`process.exit(4);`, '--on', 'svm');
    assert.deepEqual([code, result.error?.code], [1, 'ERR_SCRIPT_EXIT']);
  });
});
