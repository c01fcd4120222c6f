/** Another user of the machine cannot reach into a run. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { describe, test } from 'node:test';
import { kvmDsm } from '../support/command.ts';
import { labMissing } from '../support/lab.ts';
import { asNobody, cannotBeNobody } from '../support/nobody.ts';

const skip = labMissing() || cannotBeNobody;

/** Connects to each port of the loopback that somebody listens on, and says what a machine says that is content. */
const attack = `
  const { readFileSync } = require('node:fs');
  const seen = new Set();
  const said = '<0>@kvm-dsm boot x\\n<0>@kvm-dsm ready\\n{"type":"result","ok":true}\\n<0>@kvm-dsm exit 0\\n<0>@kvm-dsm bye\\n';
  const look = () => {
    for (const line of readFileSync('/proc/net/tcp', 'ascii').split('\\n').slice(1)) {
      const [, local, , state] = line.trim().split(/\\s+/);
      if (state !== '0A' || !local.startsWith('0100007F') || seen.has(local)) continue;
      seen.add(local);
      const port = parseInt(local.split(':')[1], 16);
      require('node:net').connect(port, '127.0.0.1', function () { this.write(said); }).on('error', () => {});
    }
    setImmediate(look);
  };
  look();`;

describe('a run that fails, and a user who wants it to pass', { skip, timeout: 300_000 }, () => {
  test('who connects to the serial lines of the vmx lane is refused, and the run fails', (t) => {
    const [command, ...args] = asNobody;
    const stranger = spawn(command!, [...args, process.execPath, '-e', attack], { stdio: 'ignore' });
    t.after(() => stranger.kill('SIGKILL'));
    const { code, stdout, stderr } = kvmDsm(['run', 'test/cli/scripts/throws.ts', '--on', 'vmx', '--json']);
    assert.equal(code, 1, stderr);
    assert.match(stdout, /"ok":false/);
    assert.doesNotMatch(stdout, /"ok":true/);
    assert.match(stderr, /a process of user 65534 that is not the emulator connected to .*: it was refused/);
  });
});
