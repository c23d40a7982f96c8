"""Search: finds published articles by words of their titles and texts, in every language at once."""

from newsletter.domain.articles import Article
from newsletter.domain.prose import text_of
from newsletter.domain.search import search_terms, searchable
from newsletter.services.context import App, Transaction
from newsletter.services.reading import PAGE, ArticlePage, find_place
from newsletter.storage import search as storage
from newsletter.storage.articles import load_articles
from newsletter.storage.search import SearchText

INDEXED_AT_ONCE = 200
MOST_STEPS = 25
"""Steps of one call; an import of a year is indexed in a few ticks."""


def search_articles(app: App, query: str, *, after: str | None = None) -> ArticlePage:
    """
    Return the articles that have every word of *query*; none where it holds no word.

    Those with more of the words in their title come first, of these the latest. A word counts by its beginning,
    without a usual ending. *after*: the uid of the article the page begins behind.

    Raises:
        NotFoundError: no article has the uid *after*.
    """
    terms = search_terms(query)
    if not terms:
        return ArticlePage((), None)
    with app.reading() as tx:
        place = find_place(tx, after) if after else None
        ids = storage.find_by_words(tx.session, terms, now=tx.now, after=place, limit=PAGE + 1)
        loaded = {article.id: article for article in load_articles(tx.session, ids[:PAGE])}
        articles = tuple(loaded[each] for each in ids[:PAGE])
        return ArticlePage(articles, articles[-1].uid if len(ids) > PAGE else None)


def index_articles(app: App) -> int:
    """Bring the index up to date with the articles; return how many it took. Safe to repeat, from any process."""
    count = 0
    for _ in range(MOST_STEPS):
        with app.reading() as tx:
            waiting = storage.find_unindexed(tx.session, limit=INDEXED_AT_ONCE)
        if not waiting:
            break
        with app.transaction() as tx:
            for article in load_articles(tx.session, waiting):
                _index(tx, article)
        count += len(waiting)
    return count


def _index(tx: Transaction, article: Article) -> None:
    texts = [
        SearchText(each.language, searchable(each.title), searchable(f"{each.summary} {text_of(each.body_html)}"))
        for each in article.translations.values()
    ]
    storage.index_article(tx.session, article.id, article.modified_at, texts)
