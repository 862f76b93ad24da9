import { useEffect, useState } from 'react';
import type { FailureReport } from '../../../shared/failure.ts';
import { ask } from '../client.ts';
import { Bar } from '../parts/Bar.tsx';
import { Button } from '../parts/Button.tsx';
import { Failed } from '../parts/Failed.tsx';
import { Note } from '../parts/Note.tsx';
import { useText } from '../parts/useText.ts';
import { attempt, useStore } from '../store.ts';
import { ApplianceRunning } from './ApplianceRunning.tsx';
import { ApplianceSetup } from './ApplianceSetup.tsx';

/** Appliance mode: what is chosen before it is started, how far it is, and the running appliance. */
export function ApplianceScreen() {
  const stage = useStore((state) => state.appliance.stage);
  const problem = useStore((state) => state.appliance.problem);
  useEffect(() => {
    if (stage.kind === 'off' || stage.kind === 'failed') void attempt(() => ask('appliance.look', {}));
  }, [stage.kind]);
  switch (stage.kind) {
    case 'off':
      return <ApplianceSetup problem={problem} />;
    case 'failed':
      return <ApplianceSetup problem={stage.failure} />;
    case 'running':
      return <ApplianceRunning />;
    case 'asking':
      return <OnTheWay text="asking" />;
    case 'starting':
      return <OnTheWay text="starting" />;
    case 'stopping':
      return <OnTheWay text="stopping" />;
    case 'waiting':
      return <StartsAgain failure={stage.failure} tries={stage.tries} until={stage.until} />;
  }
}

function Stop() {
  const { t } = useText();
  return <Button onPress={() => void attempt(() => ask('appliance.stop', {}))}>{t('appliance.stop')}</Button>;
}

function OnTheWay({ text }: { readonly text: 'asking' | 'starting' | 'stopping' }) {
  const { t } = useText();
  const title = t(`appliance.stages.${text}`);
  return (
    <div className="scroll">
      <div className="column">
        <div role="status">
          <h1 id="screen-title" className="title">
            {title}
          </h1>
        </div>
        {text === 'asking' ? <p className="quiet">{t('appliance.askingHint')}</p> : null}
        <Bar label={title} share={null} />
        {text === 'stopping' ? null : (
          <div>
            <Stop />
          </div>
        )}
      </div>
    </div>
  );
}

/** Whole seconds until `at`, as they go by. */
function useSecondsUntil(at: number): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), 500);
    return () => clearInterval(timer);
  }, []);
  return Math.max(0, Math.ceil((at - now) / 1000));
}

interface Again {
  readonly failure: FailureReport;
  readonly tries: number;
  readonly until: number;
}

function StartsAgain({ failure, tries, until }: Again) {
  const { t } = useText();
  const wish = useStore((state) => state.appliance.wish);
  const seconds = useSecondsUntil(until);
  return (
    <div className="scroll">
      <div className="column">
        <div role="status">
          <h1 id="screen-title" className="title">
            {t('appliance.stages.waiting')}
          </h1>
        </div>
        <Note kind="bad">
          <Failed failure={failure} />
        </Note>
        <p className="quiet">{t('appliance.waitingHint', { tries, seconds })}</p>
        <div className="page-head-actions">
          <Button
            look="primary"
            onPress={() => void attempt(async () => wish && (await ask('appliance.start', wish)))}
          >
            {t('appliance.again')}
          </Button>
          <Stop />
        </div>
      </div>
    </div>
  );
}
