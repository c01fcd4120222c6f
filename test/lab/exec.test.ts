/** `lab exec` of a program of this host: a test of KVM in C, as the kernel's selftests are, with a file that it reads. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { kvmDsm } from '../support/command.ts';
import { labMissing } from '../support/lab.ts';
import { testFolder } from '../support/test-folder.ts';

const source = `
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <sys/ioctl.h>
int main(int argc, char **argv) {
  char text[64] = "";
  FILE *file = fopen(argv[1], "r");
  int kvm = open("/dev/kvm", O_RDWR);
  if (!file || !fgets(text, sizeof text, file) || kvm < 0) return 1;
  printf("%d arguments, KVM %d, %s", argc, ioctl(kvm, KVM_GET_API_VERSION, 0), text);
  fprintf(stderr, "skipped\\n");
  return 4; /* KSFT_SKIP */
}
`;

const folder = testFolder();
const build = (...more: string[]) => {
  writeFileSync(join(folder, 'test.c'), source);
  const words = ['-x', 'c', join(folder, 'test.c'), '-o', join(folder, 'kvm-test'), ...more];
  return spawnSync('cc', words, { encoding: 'utf8', timeout: 60_000 });
};

describe('lab exec', { skip: labMissing(), timeout: 600_000 }, () => {
  after(() => {
    kvmDsm(['lab', 'down']);
  });

  test('a program that is linked with shared libraries is refused before the boot', () => {
    const built = build();
    assert.equal(built.status, 0, built.stderr);
    const { code, stderr } = kvmDsm(['lab', 'exec', '--on', 'svm', '--', join(folder, 'kvm-test')]);
    assert.equal(code, 2, stderr);
    assert.match(stderr, /cannot run in the lab: it is linked with shared libraries.*\n.*-static/);
  });

  for (const lane of ['svm', 'vmx'])
    for (const warm of lane === 'svm' ? [false, true] : [false])
      test(`${lane}${warm ? ', in a machine that is up' : ''}: output, exit code, and the files that it names`, () => {
        const built = build('-static', '-s');
        assert.equal(built.status, 0, built.stderr);
        writeFileSync(join(folder, 'data'), 'from the host\n');
        if (warm) {
          const up = kvmDsm(['lab', 'up', '--on', lane], 300);
          assert.equal(up.code, 0, up.stderr);
        }
        // Typed in the folder, as one does; or elsewhere, by whole paths.
        const words = warm ? [] : ['sh', '-c', `cd '${folder}' && exec "$@"`, 'sh'];
        const typed = warm ? [join(folder, 'kvm-test'), join(folder, 'data')] : ['./kvm-test', 'data'];
        const args = ['lab', 'exec', '--on', lane, '--', ...typed];
        const { code, stdout, stderr } = kvmDsm(args, 300, words);
        assert.equal(code, 4, stderr);
        assert.equal(stdout, '2 arguments, KVM 12, from the host\n');
        assert.match(stderr, /^skipped$/m);
      });
});
