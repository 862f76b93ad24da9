import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { helperAction, helperProgram } from '../../shared/helper/elevation.ts';
import { policyText } from '../../shared/helper/policy.ts';

/** Writes the action file of polkit; the first argument is where the package puts the helper's executable. */
const [program = helperProgram] = process.argv.slice(2);
writeFileSync(join(import.meta.dirname, `${helperAction}.policy`), policyText(program));
