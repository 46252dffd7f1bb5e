from django.contrib import admin
from django.urls import path
from films.views import search

urlpatterns = [
    path("admin/", admin.site.urls),
    path("search/", search),
]
