import { useTranslation } from 'react-i18next';
import { Empty } from '../parts/Empty.tsx';
import { Page } from '../parts/Page.tsx';

export function NowherePage() {
  const { t } = useTranslation();
  return (
    <Page title={t('lab.common.notFound')}>
      <Empty title={t('lab.common.notFound')} hint={t('lab.common.notFoundHint')} />
    </Page>
  );
}
