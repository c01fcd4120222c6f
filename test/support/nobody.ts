import { spawnSync } from 'node:child_process';

/** Runs a command as a user who may do nothing. */
export const asNobody = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups', '--'];

/** Why that cannot be done here, or false. */
export const cannotBeNobody =
  spawnSync(asNobody[0]!, [
    ...asNobody.slice(1),
    process.execPath,
    '-e',
    `require('fs').readdirSync('${process.cwd()}/dist')`,
  ]).status === 0
    ? false
    : 'another user cannot be taken, or cannot read this checkout';
