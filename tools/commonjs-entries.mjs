// Writes what `require` of the package finds, beside each entry of package.json's `exports`: a CommonJS file that hands on
// the very same ES module, so that a process has one copy of every class however it came by it.
import { readFileSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';

const { exports } = JSON.parse(readFileSync('package.json', 'utf8'));
for (const { require: entry } of Object.values(exports)) {
  if (entry === undefined) continue;
  const module = `./${basename(entry.default, '.cjs')}.js`;
  writeFileSync(entry.default, `'use strict';\nmodule.exports = require('${module}');\n`);
  writeFileSync(entry.types, `export * from '${module}';\n`);
}
