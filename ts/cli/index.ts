/**
 * The command line: `narthex server`, `narthex start`, `narthex tool`. Owns flags, exit codes and
 * what is printed for people; it must not know how anything is done.
 */
export { main } from './program.ts';
