import { silentLogger } from '../../src/log.ts';
import { migrate } from '../../src/store/migrate.ts';

// A process of its own that migrates one database and says what it applied.
const [databaseUrl = ''] = process.argv.slice(2);
process.stdout.write(JSON.stringify(await migrate(databaseUrl, silentLogger)));
