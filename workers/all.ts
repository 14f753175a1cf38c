/** `npm start`: all roles in one process, from the environment; embedded where nothing is configured. */
import { runRoles, runRoot } from './main.ts';
import { ROLES } from './service.ts';

await runRoot(() => runRoles(ROLES));
