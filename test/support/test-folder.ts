/** A folder that is a test file's own. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';

/** Makes one, which is removed when the tests of the file are over. */
export function testFolder(): string {
  const path = mkdtempSync(join(tmpdir(), 'kvm-dsm-test-'));
  after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}
